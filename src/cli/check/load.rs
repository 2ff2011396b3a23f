//! Which files to check, and the documents in them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use thiserror::Error;

use super::located::{Located, Position};

/// Files larger than this are no manifests.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Why a file could not be checked.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    #[error("{file}: {error}")]
    Read { file: String, error: io::Error },
    #[error("{file}: no .yaml, .yml or .json file in this folder")]
    Empty { file: String },
    #[error("{file}: larger than 64 MiB")]
    TooLarge { file: String },
    /// The text says at which line of the file.
    #[error("{file}: document {document}: {text}")]
    Parse { file: String, document: usize, text: String },
    #[error("{file}: document {document}: must be an object, at line {line}, column {column}", line = at.line, column = at.column)]
    NoObject { file: String, document: usize, at: Position },
}

/// A file's text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document<'s> {
    /// Which of the file, from 0.
    pub(super) index: usize,
    /// Where in the file its text begins.
    pub(super) begin: Position,
    pub(super) text: &'s str,
    pub(super) content: Located,
}

/// Reads what `-f` names: a file, `-` for standard input, or a folder, whose files are read in the order of their names.
pub(super) fn read(argument: &str) -> Result<Vec<Source>, LoadError> {
    if argument == "-" {
        return Ok(vec![read_from("-", io::stdin().lock())?]);
    }
    let path = Path::new(argument);
    let error = |error| LoadError::Read { file: argument.to_owned(), error };
    if !fs::metadata(path).map_err(error)?.is_dir() {
        return Ok(vec![read_file(path)?]);
    }
    let entries: Vec<PathBuf> = fs::read_dir(path)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(error)?;
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|path| is_manifest(path)).collect();
    if files.is_empty() {
        return Err(LoadError::Empty { file: argument.to_owned() });
    }
    files.sort();
    files.iter().map(|path| read_file(path)).collect()
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_file() && matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read_file(path: &Path) -> Result<Source, LoadError> {
    let name = path.display().to_string();
    let file = fs::File::open(path).map_err(|error| LoadError::Read { file: name.clone(), error })?;
    read_from(&name, file)
}

fn read_from(name: &str, reader: impl io::Read) -> Result<Source, LoadError> {
    let mut text = String::new();
    let read = reader.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    let bytes = read.map_err(|error| LoadError::Read { file: name.to_owned(), error })?;
    if bytes as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge { file: name.to_owned() });
    }
    Ok(Source { name: name.to_owned(), text })
}

/// Splits a file into its documents, as kubectl does, and parses each: at lines that begin with `---`, and where JSON objects
/// follow one another. Empty ones count, so that an index says the same as in any other tool, and are left out.
pub(super) fn documents(source: &Source) -> impl Iterator<Item = Result<Document<'_>, LoadError>> {
    let parts = split(&source.text).into_iter().flat_map(|(begin, text)| split_json(begin, text));
    parts.enumerate().filter(|(_, (_, text))| !is_blank(text)).filter_map(|(index, (begin, text))| {
        let file = || source.name.clone();
        match Located::parse(text) {
            Ok(content) if content.is_null() => None,
            Ok(content) if !content.is_map() => {
                let at = content.start(begin);
                Some(Err(LoadError::NoObject { file: file(), document: index, at }))
            }
            Ok(content) => Some(Ok(Document { index, begin, text, content })),
            Err(error) => {
                let lines = serde_saphyr::render_options! { line_offset: begin.line - 1 };
                let text = error.render_with_options(lines);
                Some(Err(LoadError::Parse { file: file(), document: index, text }))
            }
        }
    })
}

/// The parts between separators, each with where it begins.
fn split(text: &str) -> Vec<(Position, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut documents, mut begin, mut begin_line, mut offset) = (Vec::new(), 0, 1, 0);
    for (line, content) in (1_u64..).zip(text.split_inclusive('\n')) {
        if content.starts_with("---") {
            // What stands before the first separator is a document only if there is something in it.
            if let Some(before) = text.get(begin..offset).filter(|before| begin > 0 || !is_blank(before)) {
                documents.push((Position { line: begin_line, column: 1 }, before));
            }
            begin = offset;
            begin_line = line;
        }
        offset += content.len();
    }
    documents.extend(text.get(begin..).map(|rest| (Position { line: begin_line, column: 1 }, rest)));
    documents
}

/// JSON objects that stand one after the other; anything else is one document.
fn split_json(begin: Position, text: &str) -> Vec<(Position, &str)> {
    let body = text.strip_prefix("---").unwrap_or(text);
    let whole = || vec![(begin, text)];
    if !body.trim_start().starts_with('{') {
        return whole();
    }
    let separator = text.len() - body.len();
    let (mut objects, mut from, mut at) =
        (Vec::new(), 0, begin.after(text.get(..separator).unwrap_or_default()));
    let mut stream = serde_json::Deserializer::from_str(body).into_iter::<IgnoredAny>();
    while let Some(object) = stream.next() {
        let to = stream.byte_offset();
        let (Ok(_), Some(object)) = (object, body.get(from..to)) else { return whole() };
        objects.push((at, object));
        (from, at) = (to, at.after(object));
    }
    if objects.len() > 1 { objects } else { whole() }
}

/// Whether there are only comments, directives and the separator.
fn is_blank(text: &str) -> bool {
    let says_nothing = |line: &str| line.is_empty() || line == "---" || line.starts_with(['#', '%']);
    text.lines().all(|line| says_nothing(line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_source(text: &str) -> Source {
        Source { name: "x.yaml".to_owned(), text: text.to_owned() }
    }

    fn indexes(text: &str) -> Vec<(usize, u64)> {
        let source = mk_source(text);
        documents(&source).map(|document| document.unwrap()).map(|it| (it.index, it.begin.line)).collect()
    }

    fn complaints(text: &str) -> Vec<String> {
        let source = mk_source(text);
        documents(&source).filter_map(Result::err).map(|error| error.to_string()).collect()
    }

    #[test]
    fn documents_are_counted_from_0_and_know_their_line() {
        assert_eq!(indexes("a: 1\n---\nb: 2\n"), [(0, 1), (1, 2)]);
        assert_eq!(indexes("---\na: 1\n---\nb: 2\n"), [(0, 1), (1, 3)]);
        assert_eq!(indexes("# comment\n---\na: 1\n"), [(0, 2)]);
        assert_eq!(indexes("a: 1\n---\n# nothing\n---\nb: 2"), [(0, 1), (2, 4)]);
        assert_eq!(indexes("a: 1\n---\nnull\n---\nb: 2"), [(0, 1), (2, 4)]);
    }

    #[test]
    fn json_objects_may_follow_one_another() {
        let text = "{\"a\": {\"b\": 1}}{\"c\": \"}\"}\n\n{\"d\": 1}\n---\n{\"e\": 1}\n";
        let source = mk_source(text);
        let found: Vec<_> = documents(&source)
            .map(|document| document.unwrap())
            .map(|document| (document.index, document.content.start(document.begin), document.text.trim()))
            .collect();
        let at = |line, column| Position { line, column };
        assert_eq!(
            found,
            [
                (0, at(1, 1), "{\"a\": {\"b\": 1}}"),
                (1, at(1, 16), "{\"c\": \"}\"}"),
                (2, at(3, 1), "{\"d\": 1}"),
                (3, at(5, 1), "---\n{\"e\": 1}"),
            ]
        );
        // Braces alone make no JSON.
        assert_eq!(indexes("{a: 1}\n---\n{b: 1} # {}\n"), [(0, 1), (1, 2)]);
    }

    #[test]
    fn a_document_that_is_no_yaml_says_which_and_where_in_the_file() {
        let found = complaints("a: 1\n---\nb: [\n---\nc: 1\n---\n  d: 1\n e: 1\n");
        let [first, second] = found.try_into().unwrap();
        assert!(first.starts_with("x.yaml: document 1: ") && first.contains("line 3"), "{first}");
        assert!(second.starts_with("x.yaml: document 3: ") && second.contains("line 8"), "{second}");
    }

    #[test]
    fn a_document_that_is_no_object_is_told() {
        let no_object = |document, line| {
            format!("x.yaml: document {document}: must be an object, at line {line}, column 1")
        };
        assert_eq!(complaints("text\n---\n[]\n---\n"), [no_object(0, 1), no_object(1, 3)]);
    }
}
