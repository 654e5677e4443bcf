//! One source file: the paths in it that leave its room.

use super::lexemes::{Lexeme, lexemes};

/// One file of `src/`, without what is compiled for tests only.
pub(super) struct Source {
    /// Its module path from the crate's root on; the first segment is the room.
    pub(super) module: Vec<String>,
    lexemes: Vec<Lexeme>,
    /// Modules in files of their own that are compiled for tests only.
    pub(super) test_modules: Vec<Vec<String>>,
}

impl Source {
    pub(super) fn new(module: &[&str], text: &str) -> Self {
        let mut source = Self {
            module: module.iter().map(|&segment| segment.to_owned()).collect(),
            lexemes: lexemes(text),
            test_modules: Vec::new(),
        };
        source.leave_tests_out();
        source
    }

    fn is_mark(&self, at: usize, mark: char) -> bool {
        self.lexemes.get(at) == Some(&Lexeme::Mark(mark))
    }

    fn word(&self, at: usize) -> Option<&str> {
        match self.lexemes.get(at)? {
            Lexeme::Word(word) => Some(word),
            Lexeme::Mark(_) => None,
        }
    }

    fn leave_tests_out(&mut self) {
        let mut at = 0;
        while at < self.lexemes.len() {
            if !(self.is_mark(at, '#') && self.is_mark(at + 1, '[')) {
                at += 1;
                continue;
            }
            let attribute = self.group_end(at + 1);
            let words: Vec<&str> = (at..attribute).filter_map(|at| self.word(at)).collect();
            // `test` inside of an `any` or a `not` doesn't leave anything out.
            let for_tests = words.first() == Some(&"cfg")
                && words
                    .iter()
                    .take_while(|word| !["any", "not"].contains(*word))
                    .any(|word| *word == "test");
            if !for_tests {
                at = attribute;
                continue;
            }
            let end = self.item_end(attribute);
            if self.is_mark(end - 1, ';') && self.word(end - 3) == Some("mod") {
                let name = self.word(end - 2).expect("a module has a name").to_owned();
                self.test_modules.push([&self.module[..], &[name]].concat());
            }
            self.lexemes.drain(at..end);
        }
    }

    /// Where the bracketed group that opens here has ended.
    fn group_end(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.lexemes.len() {
            match self.lexemes[at] {
                Lexeme::Mark('(' | '[' | '{') => depth += 1,
                Lexeme::Mark(')' | ']' | '}') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.lexemes.len()
    }

    /// Where an item has ended: after its semicolon or its block. A field or an arm is taken with
    /// all that follows it in its own block.
    fn item_end(&self, start: usize) -> usize {
        let mut at = start;
        while at < self.lexemes.len() {
            match self.lexemes[at] {
                Lexeme::Mark(';') => return at + 1,
                Lexeme::Mark('{') => return self.group_end(at),
                Lexeme::Mark(')' | ']' | '}') => return at,
                Lexeme::Mark('(' | '[') => at = self.group_end(at),
                _ => at += 1,
            }
        }
        at
    }

    /// The first segments, from the crate's root on, of all paths that leave the room.
    pub(super) fn imports(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut module = self.module.clone();
        let mut inline_ends = Vec::new();
        let mut at = 0;
        while at < self.lexemes.len() {
            while inline_ends.last().is_some_and(|&end| at >= end) {
                inline_ends.pop();
                module.pop();
            }
            if self.word(at) == Some("mod") && self.is_mark(at + 2, '{') {
                module.push(self.word(at + 1).expect("a module has a name").to_owned());
                inline_ends.push(self.group_end(at + 2));
                at += 3;
            } else if matches!(self.word(at), Some("crate" | "self" | "super"))
                && self.is_path_separator(at + 1)
            {
                at = self.follow(at, &module, &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    fn is_path_separator(&self, at: usize) -> bool {
        self.is_mark(at, ':') && self.is_mark(at + 1, ':')
    }

    /// Follows one path or tree of paths; `base` is where its next segment is looked up.
    fn follow(&self, mut at: usize, base: &[String], found: &mut Vec<String>) -> usize {
        let mut base = base.to_vec();
        loop {
            if self.is_mark(at, '{') {
                let end = self.group_end(at);
                at += 1;
                while at < end - 1 {
                    at = self.follow(at, &base, found);
                    // What is left of an entry: `as name`, the comma.
                    while at < end - 1 && !self.is_mark(at - 1, ',') {
                        at += 1;
                    }
                }
                return end;
            }
            match self.word(at) {
                Some("crate") => base.clear(),
                Some("self") => {}
                Some("super") => {
                    base.pop();
                }
                Some(name) => {
                    if base.is_empty() {
                        found.push(name.to_owned());
                    }
                    base.push(name.to_owned());
                }
                // A glob takes in the whole crate when it stands at the root.
                None => {
                    if base.is_empty() && self.is_mark(at, '*') {
                        found.push("*".to_owned());
                    }
                    return at + 1;
                }
            }
            if !self.is_path_separator(at + 1) {
                return at + 1;
            }
            at += 3;
        }
    }
}
