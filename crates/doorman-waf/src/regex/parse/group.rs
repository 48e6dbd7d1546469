//! What begins with `(`.

use super::{
    Around, BEHIND_MAX, DEPTH_MAX, Error, Item, Node, Options, Parser, Sense, Side, fault,
};

/// Bytes of a group's name.
const NAME_MAX: usize = 32;

/// What is made of the inside of a group.
enum Wrap {
    Plain,
    Group(u32),
    Atomic,
    Around(Side, Sense),
}

impl<'a> Parser<'a> {
    pub(super) fn group(&mut self) -> Result<Item, Error> {
        let start = self.at;
        self.at += 1;
        if self.peek() == Some(b'*') {
            return Err(fault(start, "verbs, `(*…)`, are not supported"));
        }
        let outside = self.options;
        let wrap = if !self.eat(b"?") {
            self.numbered()
        } else if let Some(wrap) = self.marked(start)? {
            wrap
        } else if self.eat(b"P=") {
            return self.name_reference(b')').map(Item::Repeatable);
        } else if self.set_options()? {
            return Ok(Item::Setting);
        } else {
            Wrap::Plain
        };
        let node = self.inside(start)?;
        self.options = outside;
        wrapped(wrap, node, start).map(Item::Repeatable)
    }

    /// The next group in order, unless groups have no numbers.
    fn numbered(&mut self) -> Wrap {
        if self.options.no_groups {
            return Wrap::Plain;
        }
        self.groups += 1;
        Wrap::Group(self.groups)
    }

    fn inside(&mut self, start: usize) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(fault(start, format!("more than {DEPTH_MAX} groups within groups")));
        }
        let node = self.alternation()?;
        self.depth -= 1;
        if !self.eat(b")") {
            return Err(fault(start, "`(` without its `)`"));
        }
        Ok(node)
    }

    /// What stands behind `(?`, unless it is options or a reference.
    fn marked(&mut self, start: usize) -> Result<Option<Wrap>, Error> {
        let rest = self.rest();
        let marks: [(&[u8], Wrap); 6] = [
            (b":", Wrap::Plain),
            (b">", Wrap::Atomic),
            (b"=", Wrap::Around(Side::Ahead, Sense::Must)),
            (b"!", Wrap::Around(Side::Ahead, Sense::MustNot)),
            (b"<=", Wrap::Around(Side::Behind, Sense::Must)),
            (b"<!", Wrap::Around(Side::Behind, Sense::MustNot)),
        ];
        for (mark, wrap) in marks {
            if self.eat(mark) {
                return Ok(Some(wrap));
            }
        }
        for (mark, close) in [(&b"P<"[..], b'>'), (b"<", b'>'), (b"'", b'\'')] {
            if self.eat(mark) {
                let name = self.name(close)?;
                if self.names.iter().any(|(other, _)| *other == name) {
                    return Err(fault(start, "two groups of one name"));
                }
                self.groups += 1;
                self.names.push((name, self.groups));
                return Ok(Some(Wrap::Group(self.groups)));
            }
        }
        let refused = match rest {
            [b'|', ..] => "groups that share numbers, `(?|…)`, are",
            [b'(', ..] => "conditions, `(?(…)…)`, are",
            [b'C', ..] => "callouts, `(?C…)`, are",
            [b'R' | b'&' | b'0'..=b'9' | b'+', ..] | [b'P', b'>', ..] | [b'-', b'0'..=b'9', ..] => {
                "recursion is"
            }
            _ => return Ok(None),
        };
        Err(fault(start, format!("{refused} not supported")))
    }

    /// A name up to the byte that closes it, which is taken too.
    pub(super) fn name(&mut self, close: u8) -> Result<&'a [u8], Error> {
        let start = self.at;
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|byte| !super::named::is_word(*byte))
            .filter(|length| rest[*length] == close);
        let Some(length) = length else {
            return Err(fault(
                start,
                format!("name of a group that does not end in `{}`", char::from(close)),
            ));
        };
        if length == 0 || length > NAME_MAX || rest[0].is_ascii_digit() {
            return Err(fault(
                start,
                format!(
                    "a group's name has 1 to {NAME_MAX} letters, digits and `_`, no digit first"
                ),
            ));
        }
        self.at += length + 1;
        Ok(&rest[..length])
    }

    /// A reference by name, up to the byte that closes it.
    pub(super) fn name_reference(&mut self, close: u8) -> Result<Node, Error> {
        let start = self.at;
        let name = self.name(close)?;
        let found = self.names.iter().find(|(other, _)| *other == name);
        match found.map(|(_, group)| *group) {
            Some(group) => Ok(self.refer(group, start)),
            None => Err(fault(start, "reference to a group that has not begun")),
        }
    }

    /// Options behind `(?`. `true`: they act from here on; `false`: a group begins with them.
    fn set_options(&mut self) -> Result<bool, Error> {
        let start = self.at;
        let mut options = self.options;
        let mut on = true;
        if self.eat(b"^") {
            options = Options { lazy: options.lazy, ..Options::default() };
        }
        loop {
            let at = self.at;
            let Some(byte) = self.peek() else {
                return Err(fault(start, "options of a group without `)` or `:`"));
            };
            self.at += 1;
            match byte {
                b'i' => options.fold = on,
                b'm' => options.multi_line = on,
                b's' => options.dot_all = on,
                b'x' => {
                    options.extended = on;
                    options.extended_class = on && self.eat(b"x");
                }
                b'n' => options.no_groups = on,
                b'U' => options.lazy = on,
                b'-' if on => on = false,
                b')' => {
                    self.options = options;
                    return Ok(true);
                }
                b':' => {
                    self.options = options;
                    return Ok(false);
                }
                _ => {
                    let text = format!("`{}` is no option of a group", byte.escape_ascii());
                    return Err(fault(at, text));
                }
            }
        }
    }
}

fn wrapped(wrap: Wrap, node: Node, start: usize) -> Result<Node, Error> {
    Ok(match wrap {
        Wrap::Plain => node,
        Wrap::Group(index) => Node::Group(index, Box::new(node)),
        Wrap::Atomic => Node::Atomic(Box::new(node)),
        Wrap::Around(side, sense) => {
            if side == Side::Behind {
                check_width(&node, start)?;
            }
            Node::Around(Box::new(Around { side, sense, node }))
        }
    })
}

/// Each alternative of a look-behind has to have one width, as PCRE wants it: else there is no one
/// place to go back to.
fn check_width(node: &Node, start: usize) -> Result<(), Error> {
    let fits = |node: &Node| node.width().is_some_and(|width| width <= BEHIND_MAX);
    let fit = match node {
        Node::Alternate(nodes) => nodes.iter().all(fits),
        node => fits(node),
    };
    if fit {
        return Ok(());
    }
    Err(fault(start, format!("look-behind of no fixed length, or of more than {BEHIND_MAX} bytes")))
}
