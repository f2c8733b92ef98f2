//! One Rust file, as its tokens say.

use proc_macro2::{Delimiter, Group, LexError, Span, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::str::FromStr;

/// What tidy wants to know of a Rust file. Lines count from 1.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Lines that hold a token, outside comments and outside `#[cfg(test)]`.
    pub(super) code_lines: BTreeSet<usize>,
    /// Lines with the keyword `unsafe`, tests included.
    pub(super) unsafe_lines: Vec<usize>,
    /// Lines where assembly begins, tests included.
    pub(super) assembly_lines: Vec<usize>,
    pub(super) functions: Vec<Function>,
    /// Modules in files of their own that only tests compile.
    pub(super) test_modules: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// From `fn` to its closing brace, without what is within assembly blocks: a hardware transaction
    /// must be one block, however long.
    pub(super) lines: usize,
}

impl FromStr for Source {
    type Err = LexError;

    fn from_str(text: &str) -> Result<Self, LexError> {
        let mut source = Self::default();
        source.read(text.parse::<TokenStream>()?, Part::Shipped);
        Ok(source)
    }
}

/// Whether the code at hand is compiled into what ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Shipped,
    Tests,
}

impl Source {
    fn read(&mut self, stream: TokenStream, part: Part) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            if let Some(end) = test_item(&trees[at..]) {
                self.read_test_item(&trees[at..at + end]);
                at += end;
                continue;
            }
            at += self.read_tree(&trees[at..], part);
        }
    }

    /// Reads the first tree, and returns how many trees that took.
    fn read_tree(&mut self, trees: &[TokenTree], part: Part) -> usize {
        if let Some((comment, _)) = doc_comment(trees) {
            return comment;
        }
        match &trees[0] {
            TokenTree::Ident(word) => {
                let line = word.span().start().line;
                if word == "unsafe" {
                    self.unsafe_lines.push(line);
                } else if is_assembly(&word.to_string()) && is_mark(trees.get(1), '!') {
                    self.assembly_lines.push(line);
                } else if word == "fn" {
                    self.functions.extend(function(trees));
                }
                self.count(word.span(), part);
            }
            TokenTree::Group(group) => {
                self.count(group.span_open(), part);
                self.read(group.stream(), part);
                self.count(group.span_close(), part);
            }
            other @ (TokenTree::Punct(_) | TokenTree::Literal(_)) => self.count(other.span(), part),
        }
        1
    }

    fn read_test_item(&mut self, trees: &[TokenTree]) {
        let is_semicolon = |tree: &&TokenTree| is_mark(Some(tree), ';');
        if let [.., TokenTree::Ident(word), TokenTree::Ident(name), end] = trees
            && word == "mod"
            && is_semicolon(&end)
        {
            self.test_modules.push(name.to_string());
        }
        let mut at = 0;
        while at < trees.len() {
            at += self.read_tree(&trees[at..], Part::Tests);
        }
    }

    fn count(&mut self, span: Span, part: Part) {
        if part == Part::Shipped {
            self.code_lines.extend(span.start().line..=span.end().line);
        }
    }
}

fn is_assembly(word: &str) -> bool {
    matches!(word, "asm" | "global_asm" | "naked_asm")
}

fn is_mark(tree: Option<&TokenTree>, mark: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

/// A doc comment: the lexer turns it into an attribute whose every token lies where the comment does.
///
/// Returns the number of its trees, and its line.
fn doc_comment(trees: &[TokenTree]) -> Option<(usize, usize)> {
    let (length, group) = attribute(trees)?;
    let start = trees[0].span().start();
    (group.span().start() == start).then_some((length, start.line))
}

/// An attribute at the start: the number of its trees, and what is in its brackets.
fn attribute(trees: &[TokenTree]) -> Option<(usize, &Group)> {
    if !is_mark(trees.first(), '#') {
        return None;
    }
    let at = if is_mark(trees.get(1), '!') { 2 } else { 1 };
    let Some(TokenTree::Group(group)) = trees.get(at) else { return None };
    (group.delimiter() == Delimiter::Bracket).then_some((at + 1, group))
}

/// If an item for tests alone begins here, the number of its trees with its attributes.
fn test_item(trees: &[TokenTree]) -> Option<usize> {
    let (mut at, first) = attribute(trees)?;
    if is_mark(trees.get(1), '!') || !is_for_tests(first) {
        return None;
    }
    while let Some((length, _)) = attribute(&trees[at..]) {
        at += length;
    }
    let is_end = |tree: &TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => matches!(punct.as_char(), ';' | ','),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let end = trees[at..].iter().position(is_end).map_or(trees.len(), |end| at + end + 1);
    Some(end)
}

/// `cfg(test)`, `cfg(all(test, ..))`, but not `cfg(not(test))` nor `cfg(any(test, ..))`.
fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// The function that begins here, unless it is a type or has no body.
fn function(trees: &[TokenTree]) -> Option<Function> {
    let [start, TokenTree::Ident(name), rest @ ..] = trees else { return None };
    let mut bodies = rest.iter().take_while(|tree| !is_mark(Some(tree), ';'));
    let body = bodies.find_map(|tree| match tree {
        TokenTree::Group(group) => (group.delimiter() == Delimiter::Brace).then_some(group),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    })?;
    let line = start.span().start().line;
    let end = body.span_close().end().line;
    let lines = end - line + 1 - assembly_lines(body.stream());
    Some(Function { name: name.to_string(), line, lines })
}

/// Lines between the brackets of assembly blocks.
fn assembly_lines(stream: TokenStream) -> usize {
    let mut is_next = false;
    let lines = stream.into_iter().map(|tree| match tree {
        TokenTree::Group(group) if is_next => {
            is_next = false;
            group.span_close().start().line - group.span_open().start().line
        }
        TokenTree::Group(group) => assembly_lines(group.stream()),
        TokenTree::Ident(word) => {
            is_next = is_assembly(&word.to_string());
            0
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    });
    lines.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn comments_and_strings_are_neither_code_nor_unsafe() {
        let source = read("/// unsafe\n// unsafe\nconst A: &str =\n    \"unsafe { asm!() }\";\n");
        assert_eq!(source.code_lines, BTreeSet::from([3, 4]));
        assert_eq!((source.unsafe_lines, source.assembly_lines), (vec![], vec![]));
    }

    #[test]
    fn finds_unsafe_and_assembly_also_within_macros_and_tests() {
        let source = read(
            "macro_rules! m { () => { unsafe { core::arch::asm!(\"nop\") } } }\n\
             #[cfg(test)]\nmod tests {\n    unsafe fn f() {}\n}\n",
        );
        assert_eq!(source.unsafe_lines, [1, 4]);
        assert_eq!(source.assembly_lines, [1]);
    }

    #[test]
    fn tests_are_not_counted_as_code() {
        let source = read(
            "#![no_std]\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod outside;\n#[cfg(not(test))]\nfn f() {}\n\
             #[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n",
        );
        assert_eq!(source.code_lines, BTreeSet::from([1, 5, 6, 11]));
        assert_eq!(source.test_modules, ["outside"]);
    }

    #[test]
    fn measures_functions_from_fn_to_the_closing_brace() {
        let source = read(
            "impl A {\n    fn short(&self);\n    #[must_use]\n    fn long()\n    {\n    }\n}\n",
        );
        assert_eq!(source.functions, [Function { name: "long".into(), line: 4, lines: 3 }]);
    }

    #[test]
    fn an_assembly_block_counts_as_one_line_of_its_function() {
        let text = "fn f() {\n    unsafe {\n        asm!(\n\"nop\",\n\"nop\"\n)\n    }\n}\n";
        let function = Function { name: "f".into(), line: 1, lines: 5 };
        assert_eq!(read(text).functions, [function]);
    }
}
