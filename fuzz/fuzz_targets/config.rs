//! Configurations: no text stops the loader, the formatter or the JSON twin; formatting keeps the tree and a second
//! time changes nothing; the twin of a tree makes the same tree again.
#![no_main]

use doorman_config::{
    MemorySource, format_tree, from_json, load, parse_text, render, text_from_json, to_json,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = MemorySource::new().file("doorman.conf", text).variable("A", "a");
    let loaded = load(&source, "doorman.conf");
    for fault in &loaded.diagnostics {
        assert!(!render::short(fault, &loaded.sources).contains('\n'));
    }
    let _ = text_from_json(text);
    let Ok(tree) = parse_text("doorman.conf", text) else { return };
    let twin = to_json(&tree);
    let once = format_tree(&tree);
    let Ok(again) = parse_text("doorman.conf", &once) else {
        panic!("formatted text does not parse")
    };
    assert_eq!(twin, to_json(&again));
    assert_eq!(once, format_tree(&again));
    // A directive named like one of the twin's own keys is the only thing that it cannot hold.
    let reserved = ["block", "off"].iter().any(|word| text.contains(word));
    if let (Ok(back), false) = (from_json(&twin), reserved) {
        assert_eq!(twin, to_json(&back));
    }
});
