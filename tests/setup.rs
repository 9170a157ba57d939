//! `affine env setup affine|agentgym`, from a server of this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use affine::engine::env::setup::sources::{Keep, Source, fetch};
use sha2::{Digest, Sha256};

/// Serves files at paths until the process ends; gives the address.
pub fn serve(files: Vec<(&'static str, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &files)));
    address
}

fn answer(mut stream: TcpStream, files: &[(&str, Vec<u8>)]) {
    let lines: Vec<String> =
        BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let found = files.iter().find(|(name, _)| *name == path);
    let (status, body) = found.map_or(("404 Not Found", &[][..]), |(_, body)| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has gone away is its own affair.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

const PYTHON: &str = "class A:\n    start = ({\n        \"value\": 'Two\\nlines, \"quoted\\\".',\n    })\n";
const TEXT: &str = "Two\nlines, \"quoted\".";

fn text(sha256_of_file: String, sha256: String) -> Source {
    let keep = Keep::Text { marker: "\"value\": ", before: "", sha256 };
    Source { path: "envs/a.py".to_string(), sha256: sha256_of_file, keep, target: "a.txt".to_string() }
}

fn whole() -> Source {
    let sha256 = sha256(b"[]");
    Source { path: "list.json".to_string(), sha256, keep: Keep::Whole, target: "list.json".to_string() }
}

#[test]
fn texts_are_taken_out_of_their_sources_and_files_are_kept_whole() {
    let address = serve(vec![("/envs/a.py", PYTHON.into()), ("/list.json", b"[]".to_vec())]);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new");
    let sources = [text(sha256(PYTHON.as_bytes()), sha256(TEXT.as_bytes())), whole()];
    let written = fetch(&address, &sources, &target).unwrap();
    assert_eq!(written, [target.join("a.txt"), target.join("list.json")]);
    assert_eq!(std::fs::read_to_string(&written[0]).unwrap(), TEXT);
    assert_eq!(std::fs::read(&written[1]).unwrap(), b"[]");
}

#[test]
fn what_is_not_as_recorded_is_refused_and_nothing_is_written() {
    let address = serve(vec![("/envs/a.py", PYTHON.into()), ("/list.json", b"[1]".to_vec())]);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new");
    let complaint = |sources: &[Source]| fetch(&address, sources, &target).unwrap_err().to_string();
    let good = || text(sha256(PYTHON.as_bytes()), sha256(TEXT.as_bytes()));

    let found = sha256(b"[1]");
    let wanted = sha256(b"[]");
    let expected =
        format!("{address}/list.json: its SHA-256 is {found}, but {wanted} was recorded; nothing is written");
    assert_eq!(complaint(&[good(), whole()]), expected);

    let error = complaint(&[text(sha256(PYTHON.as_bytes()), sha256(b"other"))]);
    assert!(error.starts_with(&format!("{address}/envs/a.py: the text's SHA-256 is ")), "{error}");

    let marker = Keep::Text { marker: "PROMPT = ", before: "", sha256: String::new() };
    let error = complaint(&[Source { keep: marker, ..good() }]);
    assert_eq!(error, format!("{address}/envs/a.py: `PROMPT =` is not in it"));

    let marker = Keep::Text { marker: "class ", before: "", sha256: String::new() };
    let error = complaint(&[Source { keep: marker, ..good() }]);
    assert!(error.starts_with(&format!("{address}/envs/a.py: expected a string after `class`")), "{error}");

    let error = complaint(&[Source { path: "none".to_string(), ..whole() }]);
    assert_eq!(error, format!("{address}/none: cannot be downloaded: the server answered 404 Not Found"));
    assert!(!target.exists());
}
