//! The dialect is that of Python's `configparser`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::config::ini::{self, Document, Standing, folded};

#[track_caller]
fn mistake(text: &str, expected: &str) {
    let document = ini::read(text.as_bytes());
    let found: Vec<String> = document
        .mistakes
        .iter()
        .map(|mistake| format!("{}:{}: {}", mistake.at.line, mistake.at.column, mistake.message))
        .collect();
    assert_eq!(found, [expected], "{text:?}");
}

#[test]
fn what_python_folds_together_silently_is_a_mistake() {
    mistake(
        "[DEFAULT]\na = 1",
        "1:1: [DEFAULT] isn't supported: each key stands in its own section",
    );
    let continued = "an indented line continues the value above it, and no value here goes over \
                     several lines; take the indent away";
    mistake("[A]\na = 1\n  two", &format!("3:3: {continued}"));
    mistake("[A]\na = 1\n\n b = 2", &format!("4:2: {continued}"));
    mistake("[A]\na = 1\n [B]", &format!("3:2: {continued}"));
    mistake("[A]\na = x%(b)s", "2:5: %(...)s isn't supported; write the value out");
}

#[test]
fn lines_that_say_nothing_are_mistakes() {
    mistake(
        "[A]\nabc",
        "2:1: \"abc\" is neither a section, a key with \"=\" or \":\", nor a comment",
    );
    mistake("[A]\n  = 1", "2:3: a key is missing before the value");
    mistake("a = 1\nb = 2", "1:1: this stands before the first section, such as [Cluster]");
    mistake("[A", "1:1: the section header has no closing \"]\"");
    mistake("[]", "1:1: a section needs a name");
    mistake("[A] b = 1", "1:1: \"b = 1\" stands behind the section header");
    mistake("[A]\na = 5%", "2:5: a single \"%\"; write \"%%\" for a percent sign");
    mistake("[A]\nb=1\na = 1\nA : 2", "4:1: key \"A\" appears twice; the first is on line 3");
    mistake("[A]\n\n[A]", "3:1: section [A] appears twice; the first is on line 1");
    mistake("[A]\na = x\0y", "2:6: control character U+0000; a value is plain text");
}

#[test]
fn columns_count_characters_and_lines_end_in_three_ways() {
    let text = "\u{feff}[A]\r\n  \u{e4}\u{f6} =\t 1\r# c\r\r b: \u{20ac} 2 \n";
    let document = ini::read(text.as_bytes());
    assert_eq!(document.mistakes, []);
    let entries: Vec<String> = document.sections[0]
        .entries
        .iter()
        .map(|entry| {
            let (key, value) = (entry.key_at, entry.value_at);
            let text = entry.value.as_deref().unwrap();
            format!("{}:{} {}:{} {text}", key.line, key.column, value.line, value.column)
        })
        .collect();
    assert_eq!(entries, ["2:3 2:9 1", "5:2 5:5 \u{20ac} 2"]);
    assert_eq!(document.lines.len(), 5);
}

/// What both readers agree on: sections, keys in the form in which they are compared, values.
type Content = BTreeSet<(String, Option<(String, String)>)>;

fn content(document: &Document) -> Option<Content> {
    if !document.mistakes.is_empty() {
        return None;
    }
    let mut content = Content::new();
    for section in &document.sections {
        assert_eq!(section.standing, Standing::Good);
        content.insert((section.name.clone(), None));
        for entry in &section.entries {
            let value = entry.value.clone().expect("a document without mistakes has all values");
            content.insert((section.name.clone(), Some((folded(&entry.key), value))));
        }
    }
    Some(content)
}

/// Reads each file and prints what it holds, all texts in hexadecimal.
const PYTHON: &str = r#"
import configparser, sys
def h(text): return text.encode('utf-8').hex()
for number in range(int(sys.argv[2])):
    parser = configparser.ConfigParser()
    try:
        with open(f'{sys.argv[1]}/{number}', encoding='utf-8-sig') as file:
            parser.read_file(file)
        rows = []
        for section in parser.sections():
            rows.append(f'{number} s {h(section)}')
            for key in parser.options(section):
                rows.append(f'{number} k {h(section)} {h(key)} {h(parser.get(section, key))}')
    except (configparser.Error, UnicodeError):
        print(f'{number} refused')
    else:
        print(f'{number} read')
        for row in rows: print(row)
"#;

fn plain(hexadecimal: &str) -> String {
    let bytes = (0..hexadecimal.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap())
        .collect();
    String::from_utf8(bytes).unwrap()
}

/// What Python makes of each file; `None` where it refuses it.
fn read_by_python(files: &[String]) -> Option<Vec<Option<Content>>> {
    let directory = tempfile::tempdir().unwrap();
    for (number, text) in files.iter().enumerate() {
        std::fs::write(directory.path().join(number.to_string()), text).unwrap();
    }
    let count = files.len().to_string();
    let output = Command::new("python3")
        .args(["-c", PYTHON, directory.path().to_str().unwrap(), &count])
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut contents: Vec<Option<Content>> = vec![None; files.len()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let content = &mut contents[words[0].parse::<usize>().unwrap()];
        match words[1..] {
            ["refused"] => {}
            ["read"] => *content = Some(Content::new()),
            ["s", section] => {
                content.as_mut().unwrap().insert((plain(section), None));
            }
            ["k", section, key, value] => {
                let entry = (plain(section), Some((plain(key), plain(value))));
                content.as_mut().unwrap().insert(entry);
            }
            _ => panic!("{line}"),
        }
    }
    Some(contents)
}

/// The mistakes that aren't any to Python.
const ON_PURPOSE: &[&str] = &[
    "[DEFAULT] isn't supported",
    "an indented line continues",
    "%(...)s isn't supported",
    "stands behind the section header",
    "no closing",
    "a section needs a name",
];

/// A file put together from pieces that readers of ini files see differently.
fn random_file(random: &mut StdRng) -> String {
    const PIECES: &[&str] = &[
        "[A]",
        "[B]",
        "[a]",
        "[ A ]",
        "[C] ; c",
        "[D",
        "[]",
        "[DEFAULT]",
        "a",
        "b",
        "K",
        "k",
        " ",
        "  ",
        "\t",
        "=",
        " = ",
        ":",
        " : ",
        "==",
        "1",
        "True",
        "x y",
        "%%",
        "%",
        "%(a)s",
        ";",
        "#",
        "; c",
        "# c",
        " ;",
        "\u{e4}",
        "\u{c4}",
        "\u{a0}",
        "\u{2003}",
        "\u{feff}",
        "\r\n",
        "\r",
    ];
    let mut text = String::from("[Start]\n");
    for line in 0..random.random_range(1..12) {
        match random.random_range(0..10) {
            0 => write!(text, "[S{line}]").unwrap(),
            1..=6 => write!(text, "k{} = v{line}", random.random_range(0..40)).unwrap(),
            _ => {
                for _ in 0..random.random_range(0..6) {
                    text.push_str(PIECES[random.random_range(0..PIECES.len())]);
                }
            }
        }
        text.push_str(["\n", "\n", "\n", "\r\n", "\r"][random.random_range(0..5)]);
    }
    text
}

#[test]
fn whatever_is_accepted_means_the_same_to_python() {
    let mut files: Vec<String> = [
        ORIGINAL,
        SHIPPED,
        "",
        "# only a comment",
        "[A]",
        "[A]\na=1\nb:2\nc = x=y:z\nd : = 1\ne =\nf:\ng h = i j\n",
        "[A]\n  a = 1\n  b = 2\n c = 3\n# x\n   ; y\n\n[B]\n a=1\n",
        "\u{feff}[A]\r\na = 1\r\n\r\n[B]\rc=2\r",
        "[A]\n\u{c4}B = \u{e4}  \n%%x = 100%%\n",
        "[a]b]\nx = 1\n",
        "[A] # comment\nx = 1 ; kept\ny = 2 # kept\n",
        "[A]\nx = \"quoted\"\ny = \\n\n",
    ]
    .map(str::to_owned)
    .to_vec();
    files.push(load(ORIGINAL).unwrap().effective());
    let mut random = StdRng::seed_from_u64(3111);
    files.extend((0..3000).map(|_| random_file(&mut random)));
    let Some(theirs) = read_by_python(&files) else {
        println!("skipped: there is no python3 to compare with");
        return;
    };
    let mut accepted = 0;
    for (file, theirs) in files.iter().zip(theirs) {
        let document = ini::read(file.as_bytes());
        let Some(ours) = content(&document) else {
            let expected = |message: &str| ON_PURPOSE.iter().any(|mark| message.contains(mark));
            let explained = document.mistakes.iter().any(|mistake| expected(&mistake.message));
            assert!(explained || theirs.is_none(), "{file:?}: {:?}", document.mistakes);
            continue;
        };
        accepted += 1;
        assert_eq!(Some(ours), theirs, "{file:?}");
    }
    assert!(accepted > 500, "only {accepted} files said something");
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse("raft.ini", &bytes, &Overrides::default(), NO_VARIABLES);
    }

    #[test]
    fn no_damage_to_a_good_file_brings_the_reader_down(
        at in 0..ORIGINAL.len(),
        length in 0..40_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut damaged = ORIGINAL.as_bytes().to_vec();
        let end = (at + length).min(damaged.len());
        damaged.splice(at..end, bytes);
        if let Err(mistakes) = parse("raft.ini", &damaged, &Overrides::default(), NO_VARIABLES) {
            prop_assert!(mistakes.error_count() > 0);
            prop_assert!(!mistakes.to_string().is_empty());
        }
    }

    #[test]
    fn no_override_brings_the_loader_down(flag in ".*", name in "[A-Z_.]{0,20}", value in ".*") {
        let overrides = Overrides {
            set: vec![flag, format!("Cluster.{name}={value}"), format!("Node.A.Host={value}")],
            node: Some(name.clone()),
            host: Some(value.clone()),
            port: Some(value.clone()),
            data: Some(value.clone()),
        };
        let variables = [(format!("RAFT_CLUSTER_{name}"), value.clone())];
        let variables = variables.into_iter().chain([(format!("RAFT_NODE_{name}"), value)]);
        let _ = parse("raft.ini", ORIGINAL.as_bytes(), &overrides, variables);
    }

    #[test]
    fn every_text_that_a_value_may_have_is_printed_so_that_it_reads_the_same(name in "\\PC{1,20}") {
        let overrides = Overrides {
            set: vec![format!("Cluster.Name={name}")],
            ..Overrides::default()
        };
        if let Ok(first) = parse("raft.ini", ORIGINAL.as_bytes(), &overrides, NO_VARIABLES) {
            let second = load(&first.effective()).unwrap();
            prop_assert_eq!(first.config, second.config);
        }
    }
}
