//! List files: no panic; what is taken is what each line alone would give, and faults are told for every bad line,
//! within the bound.
#![no_main]

use doorman_route::{AgentList, ListError, list};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match list::addresses(input) {
        Ok(set) => assert!(set.ranges() <= input.len()),
        Err(ListError::Bad { lines, more }) => {
            assert!(!lines.is_empty() && lines.len() <= list::LINES_TOLD_MAX);
            assert!(more == 0 || lines.len() == list::LINES_TOLD_MAX);
            for line in lines {
                assert!(!line.to_string().contains(char::is_control));
                let bad = input.split(|&byte| byte == b'\n').nth(line.number - 1).unwrap_or_default();
                // Only a mark at the beginning of the whole is none of its first line.
                assert!(bad.starts_with(b"\xEF\xBB\xBF") || list::addresses(bad).is_err());
            }
        }
        Err(_) => {}
    }
    if let Ok(list) = AgentList::read(input) {
        for word in list.words() {
            assert!(list.find(word.as_bytes()).is_some());
        }
    }
});
