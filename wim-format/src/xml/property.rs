//! Paths of properties: `WINDOWS/LANGUAGES/LANGUAGE[2]`.

use super::EditError;
use super::tree::{NodeId, Tree};
use crate::limits::MAX_XML_DEPTH;

/// A parsed path. Each step names an element and which of that name it is, from 0.
pub(super) struct Path<'p> {
    text: &'p str,
    steps: Vec<(&'p str, usize)>,
}

impl<'p> Path<'p> {
    pub(super) fn parse(text: &'p str) -> Result<Self, EditError> {
        let steps = text.split('/').map(parse_step).collect::<Result<Vec<_>, _>>();
        let steps = match steps {
            // The image and the root are above.
            Ok(steps) if steps.len() + 2 > MAX_XML_DEPTH => Err("it has too many steps"),
            other => other,
        };
        steps
            .map(|steps| Self { text, steps })
            .map_err(|problem| EditError::BadPath { path: text.to_owned(), problem })
    }

    /// The element, and the one that holds it.
    pub(super) fn find(&self, tree: &Tree, start: NodeId) -> Option<(NodeId, NodeId)> {
        self.steps.iter().try_fold((start, start), |(_, parent), (name, nth)| {
            tree.elements_named(parent, name).nth(*nth).map(|element| (parent, element))
        })
    }

    pub(super) fn find_or_make(&self, tree: &mut Tree, start: NodeId) -> Result<NodeId, EditError> {
        let mut parent = start;
        for &(name, nth) in &self.steps {
            let found = tree.elements_named(parent, name).nth(nth);
            parent = match found {
                Some(element) => element,
                None if tree.elements_named(parent, name).count() == nth => {
                    tree.append_element(parent, name)
                }
                None => {
                    let path = self.text.to_owned();
                    let problem = "elements with smaller numbers in [] have to be set first";
                    return Err(EditError::BadPath { path, problem });
                }
            };
        }
        Ok(parent)
    }
}

fn parse_step(step: &str) -> Result<(&str, usize), &'static str> {
    let (name, nth) = match step.strip_suffix(']') {
        None => (step, 0),
        Some(step) => {
            let (name, digits) = step.split_once('[').ok_or("a ] has no [")?;
            let number: usize = digits.parse().map_err(|_| "[] holds no number")?;
            (name, number.checked_sub(1).ok_or("numbers in [] count from 1")?)
        }
    };
    if is_element_name(name) { Ok((name, nth)) } else { Err("a step is no name of an element") }
}

/// XML names, a little stricter: no characters beyond the basic plane.
fn is_element_name(name: &str) -> bool {
    let is_start = |c: char| c.is_alphabetic() || c == '_';
    let is_rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    name.starts_with(is_start) && name.chars().all(|c| is_rest(c) && c <= '\u{ffff}')
}

/// Refuses control characters, which XML 1.0 has no way to write.
pub(super) fn check_value(value: &str) -> Result<(), EditError> {
    let is_bad = |c: &char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match value.chars().find(is_bad) {
        Some(found) => Err(EditError::BadValue { found }),
        None => Ok(()),
    }
}
