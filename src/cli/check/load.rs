//! Which files to check, and the documents in them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::located::Located;

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
    #[error("{file}: document {document}: {error}")]
    Parse { file: String, document: usize, error: Box<serde_saphyr::Error> },
}

/// A file's text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    /// Which of the file, from 0.
    pub(super) index: usize,
    /// The line of the file on which it begins, from 1.
    pub(super) first_line: u64,
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

/// Splits a file into its documents at lines that begin with `---`, as kubectl does, and parses each. Empty ones count,
/// so that an index says the same as in any other tool, and are left out.
pub(super) fn documents(source: &Source) -> Result<Vec<Document>, LoadError> {
    let mut documents = Vec::new();
    for (index, (first_line, text)) in split(&source.text).into_iter().enumerate() {
        if is_blank(text) {
            continue;
        }
        let content = Located::parse(text).map_err(|error| LoadError::Parse {
            file: source.name.clone(),
            document: index,
            error: Box::new(error),
        })?;
        documents.push(Document { index, first_line, content });
    }
    Ok(documents)
}

/// The documents' texts, each with the line on which it begins.
fn split(text: &str) -> Vec<(u64, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut documents, mut begin, mut begin_line, mut offset) = (Vec::new(), 0, 1, 0);
    for (line, content) in (1_u64..).zip(text.split_inclusive('\n')) {
        if content.starts_with("---") {
            // What stands before the first separator is a document only if there is something in it.
            if let Some(before) = text.get(begin..offset).filter(|before| begin > 0 || !is_blank(before)) {
                documents.push((begin_line, before));
            }
            begin = offset;
            begin_line = line;
        }
        offset += content.len();
    }
    documents.extend(text.get(begin..).map(|rest| (begin_line, rest)));
    documents
}

/// Whether there are only comments, directives and the separator.
fn is_blank(text: &str) -> bool {
    let says_nothing = |line: &str| line.is_empty() || line == "---" || line.starts_with(['#', '%']);
    text.lines().all(|line| says_nothing(line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(text: &str) -> Vec<(usize, u64)> {
        let source = Source { name: "x".to_owned(), text: text.to_owned() };
        documents(&source).unwrap().iter().map(|document| (document.index, document.first_line)).collect()
    }

    #[test]
    fn documents_are_counted_from_0_and_know_their_line() {
        assert_eq!(indexes("a: 1\n---\nb: 2\n"), [(0, 1), (1, 2)]);
        assert_eq!(indexes("---\na: 1\n---\nb: 2\n"), [(0, 1), (1, 3)]);
        assert_eq!(indexes("# comment\n---\na: 1\n"), [(0, 2)]);
        assert_eq!(indexes("a: 1\n---\n# nothing\n---\nb: 2"), [(0, 1), (2, 4)]);
    }

    #[test]
    fn a_document_that_is_no_yaml_says_which() {
        let source = Source { name: "x.yaml".to_owned(), text: "a: 1\n---\nb: [\n".to_owned() };
        let error = documents(&source).unwrap_err().to_string();
        assert!(error.starts_with("x.yaml: document 1: "), "{error}");
    }
}
