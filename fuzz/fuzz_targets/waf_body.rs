//! Bodies of requests as the rules of the firewall see them; the first byte says how they are read, and where to
//! cut. No panic, whatever the bytes; every cut gives the same; what is kept is within the bounds; a body that
//! ends early on purpose is not told to be incomplete.
#![no_main]

use doorman_waf::body::{ArrayNames, Bounds, Fault, Pair, Read, Reader, cookies, query};
use doorman_waf::rule::Processor;
use libfuzzer_sys::fuzz_target;

/// Small ones, so that they are met.
fn bounds(first: u8) -> Bounds {
    Bounds {
        bytes_max: 1500,
        arguments_max: 20,
        name_max: 100,
        value_max: 800,
        kept_max: 3000,
        part_header_max: 200,
        files_max: 3,
        depth_max: 10,
        separator: b'&',
        array_names: if first % 2 == 0 { ArrayNames::Prefixed } else { ArrayNames::Plain },
    }
}

fn reader(processor: Processor, bounds: &Bounds, body: &[u8], cut: usize) -> Reader {
    let mut reader = Reader::new(processor, b"multipart/form-data; boundary=00", bounds);
    body.chunks(cut).for_each(|piece| reader.feed(piece));
    reader
}

fn check(read: &Read, bounds: &Bounds, body: &[u8]) {
    assert!(read.arguments.len() <= bounds.arguments_max);
    let length = |pair: &Pair| {
        assert!(pair.name.len() <= bounds.name_max && pair.value.len() <= bounds.value_max);
        pair.name.len() + pair.value.len()
    };
    let mut kept: usize = read.arguments.iter().map(length).sum();
    kept += read.part_headers.iter().map(|pair| pair.name.len() + pair.value.len()).sum::<usize>();
    kept += read.files.iter().map(|file| file.name.len() + file.filename.len()).sum::<usize>();
    let others = [&read.multipart_names, &read.multipart_filenames, &read.xml_attributes];
    kept += others.iter().flat_map(|values| values.iter()).map(Vec::len).sum::<usize>();
    assert!(kept <= bounds.kept_max);
    let texts: usize = read.xml_texts.iter().map(Vec::len).sum();
    // A reference of eight bytes is four bytes at most, half a character is three.
    assert!(texts <= body.len().max(4) && texts as u64 <= bounds.bytes_max);
    assert!(read.files_size() <= body.len() as u64);
    let over = read.over;
    let met = over.bytes || over.arguments || over.lengths || over.kept || over.part_header || over.depth;
    assert!(!met || read.fault.is_some());
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, body)) = input.split_first() else { return };
    let bounds = bounds(first);
    let cut = 1 + usize::from(first / 8) % 23;
    let processor = match first / 2 % 4 {
        0 => Processor::UrlEncoded,
        1 => Processor::Multipart,
        2 => Processor::Json,
        _ => Processor::Xml,
    };
    let whole = reader(processor, &bounds, body, usize::MAX).finish();
    let pieces = reader(processor, &bounds, body, cut).finish();
    assert_eq!(whole, pieces, "{processor:?} {cut}");
    check(&whole, &bounds, body);

    let partial = reader(processor, &bounds, body, cut).cut();
    check(&partial, &bounds, body);
    if whole.fault.is_none() {
        assert_eq!(partial.fault, None);
        for end in (0..body.len()).step_by(1 + body.len() / 10) {
            let prefix = reader(processor, &bounds, &body[..end], cut).cut();
            assert!(!matches!(prefix.fault, Some(Fault::Malformed(_))), "{processor:?} {end}: {:?}", prefix.fault);
        }
    }

    let mut pairs = Vec::new();
    let _ = query(body, b'&', &bounds, &mut pairs);
    assert!(pairs.len() <= bounds.arguments_max);
    pairs.clear();
    cookies(body, &mut pairs);
    assert!(pairs.len() <= body.len());
});
