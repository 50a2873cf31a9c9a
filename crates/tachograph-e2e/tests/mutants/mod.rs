//! Changes to traces, drawn from a seed.

#[path = "../../../tachograph-reader/tests/common/dice.rs"]
mod dice;

pub use dice::Dice;
use tachograph_text::{decode, encode, resize};

/// A trace that something happened to.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What happened to which trace.
    pub story: String,
    pub bytes: Vec<u8>,
}

impl AsRef<[u8]> for Mutant {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that stay: the header, whose variants are goldens.
const HEADER: usize = 16;

impl Mutant {
    /// Of a trace with its name.
    pub fn of((name, bytes): &(String, Vec<u8>), dice: &mut Dice) -> Self {
        let mut mutant = Self {
            story: name.clone(),
            bytes: bytes.clone(),
        };
        let changes = 1 + usize::from(dice.below(4) == 0);
        for _ in 0..changes {
            if dice.below(4) == 0 {
                mutant.change_bytes(dice);
            } else {
                mutant.change_items(dice);
            }
        }
        mutant
    }

    fn change_bytes(&mut self, dice: &mut Dice) {
        let bytes = &mut self.bytes;
        if bytes.len() <= HEADER {
            return;
        }
        let at = HEADER + dice.below(bytes.len() - HEADER);
        let len = (1 + dice.below(8)).min(bytes.len() - at);
        let what = match dice.below(6) {
            0 | 1 => {
                bytes[at] ^= 1 << dice.below(8);
                "flip"
            }
            2 => {
                bytes[at] = dice.next() as u8;
                "set"
            }
            3 => {
                bytes.truncate(at);
                "cut"
            }
            4 => {
                bytes.drain(at..at + len);
                "drop bytes"
            }
            _ => {
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
                "repeat bytes"
            }
        };
        self.story += &format!(", {what} at {at:#x}");
    }

    /// Changes a line of the text form; what has none stays.
    fn change_items(&mut self, dice: &mut Dice) {
        let Ok(text) = decode(&self.bytes) else {
            return self.change_bytes(dice);
        };
        let mut items = split(&text);
        if items.len() < 2 {
            return;
        }
        let (at, other) = (
            1 + dice.below(items.len() - 1),
            1 + dice.below(items.len() - 1),
        );
        let line = items[at].clone();
        let what = match dice.below(10) {
            0 | 1 => {
                items.remove(at);
                "drop"
            }
            2 => {
                items.insert(at, line.clone());
                "repeat"
            }
            3 => {
                let next = (at + 1).min(items.len() - 1);
                items.swap(at, next);
                "swap with the next"
            }
            4 => {
                let moved = items.remove(at);
                items.insert(other.min(items.len()), moved);
                "move"
            }
            _ => {
                items[at] = with_number(&line, &items[other], dice);
                "number"
            }
        };
        let before = line.lines().next().unwrap_or_default();
        let after = items
            .get(at)
            .and_then(|line| line.lines().next())
            .unwrap_or_default();
        self.story += &format!(", {what}: `{before}` is now `{after}`");
        let changed = items.concat();
        let sized = match dice.below(20) == 0 {
            true => Ok(changed),
            false => resize(&changed),
        };
        if let Ok(bytes) = sized.and_then(|text| encode(&text)) {
            self.bytes = bytes;
        }
    }
}

/// Items with the lines that belong to them.
fn split(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        let is_part = ["pc=", "data="]
            .iter()
            .any(|part| line.trim_start().starts_with(part));
        match items.last_mut() {
            Some(item) if is_part => item.push_str(line),
            _ => items.push(line.to_owned()),
        }
    }
    items
}

/// Changes one of the line's numbers: a little, to a border, or to one of another line.
fn with_number(line: &str, other: &str, dice: &mut Dice) -> String {
    let spots = numbers(line);
    let Some((start, end)) = (!spots.is_empty()).then(|| spots[dice.below(spots.len())]) else {
        return line.to_owned();
    };
    let old: u64 = line[start..end].parse().unwrap_or(0);
    let others = numbers(other);
    let new = match dice.below(8) {
        0 | 1 => old.wrapping_add(1),
        2 | 3 => old.wrapping_sub(1),
        4 => 0,
        5 if (dice.below(4) == 0) => u64::MAX,
        5 => dice.next() % 8,
        _ if !others.is_empty() => {
            let (start, end) = others[dice.below(others.len())];
            other[start..end].parse().unwrap_or(0)
        }
        _ => old ^ 1,
    };
    format!("{}{new}{}", &line[..start], &line[end..])
}

/// Where the numbers of an item stand; those in a string are none.
fn numbers(item: &str) -> Vec<(usize, usize)> {
    let end = item.find("data=").unwrap_or(item.len());
    let signs = item[..end].match_indices('=');
    let spots = signs.map(|(sign, _)| {
        let start = sign + 1;
        let digits = item[start..end].bytes().take_while(u8::is_ascii_digit);
        (start, start + digits.count())
    });
    spots.filter(|(start, end)| start < end).collect()
}
