//! `affine doctor` from outside. What it says of this machine is checked against what the machine does.

use std::process::{Command, Output};

use serde_json::Value;

use super::cli::{affine, code, stdout};
use super::hub_server::{Fault, Hub, Options, Role};

/// The Hub is asked where a test says so alone.
fn doctor(variables: &[(&str, &str)]) -> (Output, Vec<Value>) {
    let mut command = affine();
    command.args(["doctor", "--json"]).env("HF_HUB_OFFLINE", "1").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    (output, report["findings"].as_array().unwrap().clone())
}

fn finding<'a>(findings: &'a [Value], subject: &str) -> &'a Value {
    findings.iter().find(|finding| finding["subject"] == subject).unwrap_or_else(|| panic!("nothing on {subject}"))
}

#[test]
fn every_finding_has_a_level_and_every_complaint_has_advice() {
    let (output, findings) = doctor(&[]);
    for finding in &findings {
        let level = finding["level"].as_str().unwrap();
        assert!(["ok", "warn", "fail"].contains(&level), "{finding}");
        assert!(!finding["message"].as_str().unwrap().is_empty(), "{finding}");
        assert_eq!(finding["advice"].is_string(), level != "ok", "{finding}");
    }
    let failed = findings.iter().any(|finding| finding["level"] == "fail");
    assert_eq!(code(&output), i32::from(failed));
    for subject in ["libtorch", "bfloat16", "CUDA", "memory", "disk", "Hub token", "Python", "Java", "sandbox"] {
        finding(&findings, subject);
    }
}

#[test]
fn libtorch_is_the_one_that_these_tests_run_with() {
    let (_, findings) = doctor(&[]);
    let libtorch = finding(&findings, "libtorch");
    assert_eq!(libtorch["level"], "ok");
    let message = libtorch["message"].as_str().unwrap();
    assert!(message.starts_with("2.11.0") && message.contains(" threads on "), "{message}");
    let one = doctor(&[("OMP_NUM_THREADS", "1")]).1;
    assert!(finding(&one, "libtorch")["message"].as_str().unwrap().contains(", 1 threads on "));
}

#[test]
fn a_python_on_the_path_is_found_and_an_empty_path_has_none() {
    let (_, without) = doctor(&[("PATH", "/no/such/folder")]);
    assert_eq!(finding(&without, "Python")["level"], "warn");
    assert_eq!(finding(&without, "Java")["level"], "warn");
    let Ok(python) = Command::new("python3").arg("--version").output() else { return };
    let version = stdout(&python).trim().trim_start_matches("Python ").to_string();
    let (_, with) = doctor(&[]);
    assert!(finding(&with, "Python")["message"].as_str().unwrap().starts_with(&version));
}

#[test]
fn the_hubs_token_is_named_and_never_shown() {
    let secret = "hf_dWAxPdDNcQ";
    let (output, findings) = doctor(&[("HF_TOKEN", secret), ("HF_ENDPOINT", "https://me:hf_dWAxPdDNcQ@hub.example/")]);
    assert_eq!(finding(&findings, "Hub token")["message"], "from HF_TOKEN");
    assert!(!stdout(&output).contains(secret));
    let (output, findings) = doctor(&[("HF_ENDPOINT", "https://me:hf_dWAxPdDNcQ@hub.example/?token=hf_dWAxPdDNcQ")]);
    let message =
        "HF_ENDPOINT: expected an address such as https://hub.example, without ?, got \"https://hub.example/\"";
    assert_eq!(finding(&findings, "Hub")["message"], message);
    assert!(!stdout(&output).contains(secret));

    let home = tempfile::tempdir().unwrap();
    let here = home.path().to_str().unwrap();
    let without = doctor(&[("HF_HOME", here), ("HF_TOKEN", ""), ("HUGGING_FACE_HUB_TOKEN", ""), ("HF_TOKEN_PATH", "")]);
    assert_eq!(finding(&without.1, "Hub token")["level"], "warn");
    std::fs::write(home.path().join("token"), secret).unwrap();
    let (output, findings) =
        doctor(&[("HF_HOME", here), ("HF_TOKEN", ""), ("HUGGING_FACE_HUB_TOKEN", ""), ("HF_TOKEN_PATH", "")]);
    assert_eq!(finding(&findings, "Hub token")["message"], format!("from {here}/token"));
    assert!(!stdout(&output).contains(secret));
}

#[test]
fn the_hub_tells_whose_token_it_is_and_what_it_may_do() {
    let hub = Hub::start(Options::default());
    hub.user("acme", "hf_AcmeAcmeAcme", Role::Write);
    hub.user("reader", "hf_ReaderReader", Role::Read);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.lua"), "return { huggingface = { repo_name = 'acme/tiny' } }").unwrap();
    let doctor = |token: &str| -> Vec<String> {
        let mut command = affine();
        command
            .current_dir(folder.path())
            .arg("doctor")
            .env_remove("HF_HUB_OFFLINE")
            .env("HF_ENDPOINT", hub.endpoint());
        let text = stdout(&command.env("HF_TOKEN", token).output().unwrap());
        assert!(token.is_empty() || !text.contains(token), "{text}");
        text.lines().filter(|line| line.contains("Hub") && !line.contains("cache")).map(str::to_string).collect()
    };
    let endpoint = hub.endpoint();
    let answers = format!("ok    Hub        {endpoint} answers");
    assert_eq!(
        doctor("hf_AcmeAcmeAcme"),
        [
            &answers,
            "ok    Hub token  of acme (HF_TOKEN, called acme)",
            "ok    Hub upload to acme/tiny (huggingface.repo_name)"
        ]
    );
    let lines = doctor("hf_ReaderReader");
    assert_eq!(lines[2], "warn  Hub upload the token may not write to acme/tiny (huggingface.repo_name)");
    let lines = doctor("hf_WrongWrong");
    assert!(lines[1].starts_with("fail  Hub token  the Hub does not accept the token (HF_TOKEN)"), "{lines:?}");
    assert!(doctor("")[1].starts_with("warn  Hub token  none; public models can be downloaded"));
    hub.fail_always(Fault::Cut, |_, _| true);
    assert!(doctor("hf_AcmeAcmeAcme")[0].starts_with("warn  Hub        "), "{:?}", doctor("hf_AcmeAcmeAcme"));
}

#[test]
fn an_environments_data_is_found_where_its_variable_says() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    let (_, findings) = doctor(&[("ALFWORLD_DATA", here)]);
    let message = format!("ALFWORLD_DATA names {here}, but there is no json_2.1.1 in it");
    assert_eq!(finding(&findings, "alfworld")["message"], message);
    std::fs::create_dir(folder.path().join("json_2.1.1")).unwrap();
    let (_, findings) = doctor(&[("ALFWORLD_DATA", here)]);
    assert_eq!(finding(&findings, "alfworld")["level"], "ok");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_a_failure() {
    // /proc is read-only for everybody, root included.
    let output = affine().current_dir("/proc").arg("doctor").output().unwrap();
    let text = stdout(&output);
    let line = text.lines().find(|line| line.contains("disk")).unwrap();
    assert!(line.starts_with("fail  disk") && line.ends_with("but it cannot be written to"), "{line}");
    assert_eq!(code(&output), 1);
}

#[test]
fn without_a_terminal_the_lines_are_plain() {
    let output = affine().arg("doctor").output().unwrap();
    let text = stdout(&output);
    assert!(!text.contains('\x1b'), "{text}");
    assert!(text.starts_with("ok    libtorch   2.11.0"), "{text}");
}
