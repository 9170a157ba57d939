//! The page as text.

use std::collections::BTreeSet;
use std::path::PathBuf;

use affine::engine::report::{Options, Report};
use serde_json::{Value, json};

use super::generated;

fn html(runs: &[PathBuf], max_bytes: usize) -> String {
    Report::of(runs, Options { max_bytes, ..Options::default() }).unwrap().html().unwrap()
}

/// The page without what is inside its scripts and its style.
fn markup(html: &str) -> String {
    let mut text = html.to_string();
    for element in ["script", "style"] {
        let (open, close) = (format!("<{element}"), format!("</{element}>"));
        let mut place = 0;
        while let Some(from) = text[place..].find(&open).map(|at| at + place) {
            let inside = from + text[from..].find('>').unwrap() + 1;
            let to = inside + text[inside..].find(&close).unwrap();
            text.replace_range(inside..to, "");
            place = inside;
        }
    }
    text
}

/// The tags of the page in their order, comments and the document's type left out.
fn tags(markup: &str) -> Vec<&str> {
    let all = markup.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    all.filter(|tag| !tag.starts_with('!')).collect()
}

fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    html.split(begin.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_page_refers_to_nothing_outside_itself() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[generated::run(folder.path(), "a", 5)], 5_000_000);
    let markup = markup(&page);
    for tag in tags(&markup) {
        let is_far = ["http:", "https:", "=\"//", "url(", "@import", "xmlns"].iter().any(|far| tag.contains(far));
        assert!(!is_far, "{tag}");
        assert!(!tag.contains(" style=") && !tag.contains(" on"), "{tag}: neither inline styles nor handlers");
    }
    assert!(attributes(&markup, "href").iter().all(|target| target.starts_with('#')));
    assert!(attributes(&markup, "src").is_empty());
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_page_is_well_formed_and_its_ids_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [generated::run(folder.path(), "a", 5), generated::run(folder.path(), "b", 5)];
    let markup = markup(&html(&runs, 5_000_000));
    let (mut open, void) = (Vec::new(), ["meta", "input", "br"]);
    for tag in tags(&markup) {
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        match tag.strip_prefix('/') {
            Some(_) => assert_eq!(open.pop(), Some(name), "</{name}> closes what is open"),
            None if void.contains(&name) || tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let ids = attributes(&markup, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for name in ["aria-labelledby", "href"] {
        for target in attributes(&markup, name).iter().flat_map(|ids| ids.split(' ')) {
            assert!(ids.contains(&target.trim_start_matches('#')), "{name}: {target}");
        }
    }
}

#[test]
fn headings_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[generated::run(folder.path(), "a", 5)], 5_000_000);
    let mut before = 0;
    for level in page.split("<h").skip(1).filter_map(|rest| rest[..1].parse::<u8>().ok()) {
        assert!(level <= before + 1, "h{level} behind h{before}");
        before = level;
    }
    assert_eq!(page.matches("<h1>").count(), 1);
    assert!(page.contains("<html lang=\"en\">"));
}

#[test]
fn texts_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[generated::run(folder.path(), "a", 5)], 5_000_000);
    assert_eq!(page.matches("</script>").count(), page.matches("<script").count());
    assert_eq!(page.matches("<script").count(), 2, "the data and the script");
    assert!(!page.contains("<img") && !page.contains("<b>") && !page.contains("<i>") && !page.contains('\u{2028}'));
    assert!(page.contains("&lt;i&gt;") && page.contains("\\u003cimg"));
}

#[test]
fn what_does_not_fit_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 20);
    let whole = html(std::slice::from_ref(&run), 50_000_000);
    assert!(!whole.contains("To keep this page below"));
    let frame = html(std::slice::from_ref(&run), 0).len();
    for limit in [whole.len() - 2_000, frame + 100_000, frame + 1_000] {
        let page = html(std::slice::from_ref(&run), limit);
        assert!(page.len() <= limit, "{} of {limit}", page.len());
        assert!(page.contains("To keep this page below") && !page.contains(" 0 episodes"), "{limit}");
    }
}

#[test]
fn what_is_missing_is_said_and_the_rest_stands() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 5);
    for file in ["summary.json", "episodes.jsonl.zst", "versions.json"] {
        std::fs::remove_file(run.join(file)).unwrap();
    }
    let page = html(&[run], 5_000_000);
    for said in ["No evaluation yet", "No transcripts.", "None were recorded.", "Reinforcement learning", "cut short"] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn an_older_summary_has_no_paired_section_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 5);
    let path = run.join("summary.json");
    let older = std::fs::read_to_string(&path).unwrap().replace("\"results\"", "\"unknown\"");
    std::fs::write(&path, older).unwrap();
    let page = html(&[run], 5_000_000);
    assert!(page.contains("names no file of results task by task, so it is not compared"));
    assert!(page.contains("RL is better than SFT on sat"));
}

#[test]
fn the_numbers_are_those_of_the_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 5);
    let markdown = Report::of(&[run], Options::default()).unwrap().markdown().unwrap();
    for line in [
        "**RL is better than SFT on sat; it dominates random play.**",
        "| RL | 0.500 [0.450, 0.550] |",
        "| RL | – | dominates (sat better) | dominates (sat better) |",
        "none of the 40 is among the 1,200 records",
        "| Mean score, sat | 0.26 | 0.3 | 0.26 | 0.3 |",
        "| my_own | 1 | 5 | 1 | 5 |",
    ] {
        assert!(markdown.contains(line), "{line}\n{markdown}");
    }
    assert!(markdown.contains("| RL − SFT | sampled | sat | 40 | +0.250 ["), "{markdown}");
    assert!(!markdown.contains("\n\n\n") && !markdown.contains("<i>"), "{markdown}");
}

#[test]
fn several_runs_lie_over_each_other_and_what_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [generated::run(folder.path(), "a", 5), generated::run(folder.path(), "b", 5)];
    std::fs::write(runs[1].join("config.json"), "{\"rl\": {\"learning_rate\": 0.002}, \"seed\": 3}").unwrap();
    let page = html(&runs, 5_000_000);
    assert!(page.contains("2 runs compared") && page.contains("What differs:"));
    assert!(page.contains("var(--series-1)") && page.contains("var(--series-2)"));
    assert!(page.contains("RL of b − RL of a"));
    assert!(page.contains("RL, a 0.500 [0.450, 0.550]") && page.contains("RL, b 0.500"), "bars name their runs");
    assert!(page.contains("random play 0.100") && !page.contains("random play, a"), "what all share is no run's");
    assert!(page.contains("<title>b, iteration 5: 0.05</title>"), "curves say their numbers");
}

#[test]
fn a_page_says_what_was_sampled_and_how_a_served_model_differs() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 5);
    let path = run.join("summary.json");
    let mut summary: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    summary["as_trained"] = json!({ "sat": summary["models"]["sft"]["sat"] });
    summary["models"]["rl"]["sat"]["served"] = json!({ "turns": 90, "differing_turns": 12, "logprob_change": 0.0315 });
    summary["sampling"]["as_served"] = json!(true);
    summary["sampling"]["samples_per_task"] = json!(3);
    std::fs::write(&path, summary.to_string()).unwrap();
    let report = Report::of(&[run], Options::default()).unwrap();
    for text in [report.html().unwrap(), report.markdown().unwrap()] {
        let said = "RL, sat: as served 0.500 [0.450, 0.550], as trained 0.250 [0.200, 0.300]; 12 of 90 turns had prompts of other ids";
        assert!(text.contains(said) && text.contains(", 3 samples per task, as served"), "{text}");
        assert!(text.contains("n = 120"), "{text}");
    }
}

#[test]
fn a_summary_that_says_less_or_another_thing_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 5);
    let path = run.join("summary.json");
    let mut summary: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    summary["sampling"] = json!({});
    std::fs::write(&path, summary.to_string()).unwrap();
    let page = html(std::slice::from_ref(&run), 5_000_000);
    assert!(page.contains("Mean score on 0–1, with its") && !page.contains("n = 0"));
    assert!(page.contains("0.500 [0.450, 0.550] n = 40"));
    std::fs::write(&path, "{\"best\": 0.5}").unwrap();
    let page = html(&[run], 5_000_000);
    assert!(page.contains("No evaluation yet") && page.contains("summary.json is not an evaluation’s."));
}

#[test]
fn what_gives_access_is_not_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let run = generated::run(folder.path(), "a", 5);
    let config = json!({ "hf_token": "hush1", "judge": { "api_key": "hush2", "url": "http://me:hush3@host/v1" }, "x": "Bearer hush4" });
    std::fs::write(run.join("config.json"), config.to_string()).unwrap();
    let report = Report::of(&[run], Options::default()).unwrap();
    for text in [report.html().unwrap(), report.markdown().unwrap()] {
        assert!(!text.contains("hush"), "{text}");
    }
    assert!(report.html().unwrap().replace("&#x2f;", "/").contains("http://host/v1"));
}
