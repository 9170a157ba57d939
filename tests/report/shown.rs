//! The page in a browser: nothing fails, the filter filters, the keyboard suffices, a small screen holds it.

use std::path::{Path, PathBuf};

use affine::engine::report::{Options, Report};
use serde_json::json;

use super::browser::Page;
use super::generated;

fn written(folder: &Path) -> PathBuf {
    let runs = [generated::run(folder, "a", 6)];
    let path = folder.join("report.html");
    Report::of(&runs, Options::default()).unwrap().write(&path).unwrap();
    path
}

const CARDS: &str = "document.querySelectorAll('.episode').length";

/// Sets a field of the filter as a person does.
fn set(page: &mut Page, name: &str, value: &str) {
    page.value(&format!(
        "(() => {{ const field = document.forms.filter.elements['{name}']; field.value = '{value}'; \
         field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    ));
}

#[test]
fn nothing_fails_and_nothing_is_wider_than_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let Some(mut page) = Page::open() else { return };
    for (width, scheme) in [(390, "light"), (390, "dark"), (1400, "light"), (1400, "dark")] {
        page.size(width, 900);
        page.scheme(scheme);
        page.load(&file, "");
        page.value("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        assert_eq!(page.value("document.documentElement.scrollWidth"), json!(width), "{scheme}");
        assert_eq!(page.value("document.title"), json!("a · affine report"), "no text became a script");
        assert_eq!(page.value("document.querySelectorAll('img, iframe, object, .episode b').length"), json!(0));
        assert!(page.value(CARDS).as_u64().unwrap() >= 8);
    }
    assert!(page.complaints.is_empty(), "{:#?}", page.complaints);
}

#[test]
fn the_filter_filters_and_the_address_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let Some(mut page) = Page::open() else { return };
    page.load(&file, "");
    // The last iteration: eight episodes and one that failed.
    assert_eq!(page.value(CARDS), json!(9));
    set(&mut page, "env", "<i>");
    assert_eq!(page.value(CARDS), json!(4));
    set(&mut page, "ending", "truncated");
    assert_eq!(page.value(CARDS), json!(1));
    set(&mut page, "iteration", "");
    assert_eq!(page.value(CARDS), json!(6), "one in each iteration");
    set(&mut page, "min", "0.9");
    assert_eq!(page.value(CARDS), json!(0));
    assert_eq!(page.value("document.getElementById('found').textContent"), json!("0 transcripts."));
    set(&mut page, "min", "0.7");
    let hash = page.value("location.hash");
    assert!(hash.as_str().unwrap().contains("ending=truncated"), "{hash}");
    page.load(&file, hash.as_str().unwrap());
    assert_eq!(page.value(CARDS), json!(6));
    assert_eq!(page.value("document.forms.filter.elements.env.value"), json!("<i>"));
    assert!(page.complaints.is_empty(), "{:#?}", page.complaints);
}

#[test]
fn a_judged_task_is_shown_of_every_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let Some(mut page) = Page::open() else { return };
    page.load(&file, "#source=evaluation&picked=worst");
    let of_group = "[...document.querySelector('.group').querySelectorAll('h4')].map((h) => h.textContent)";
    assert_eq!(page.value(of_group), json!(["base", "SFT", "RL"]));
    assert!(page.complaints.is_empty(), "{:#?}", page.complaints);
}

#[test]
fn tokens_are_coloured_and_tell_their_numbers_to_the_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let Some(mut page) = Page::open() else { return };
    page.load(&file, "#source=rl&iteration=3&env=sat");
    let classes = "[...document.querySelector('.episode').querySelectorAll('.token')].map((token) => token.className)";
    assert_eq!(page.value(classes), json!(["token", "token", "token", "token", "token"]));
    page.value("document.querySelector('#colour input[value=logprobs]').click()");
    assert_eq!(page.value(classes), json!(["token", "token minus-1", "token minus-2", "token minus-3", "token"]));
    page.value("document.querySelector('#colour input[value=advantages]').click()");
    assert_eq!(page.value(classes), json!(["token plus-2", "token minus-2", "token plus-1", "token", "token plus-4"]));
    assert!(page.value("location.hash").as_str().unwrap().contains("colour=advantages"));

    // From the colours the next stop is the first transcript.
    page.value("document.querySelector('#colour input:checked').focus()");
    page.press("Tab");
    assert_eq!(page.value("document.activeElement.className"), json!("transcript"));
    page.press("ArrowRight");
    page.press("ArrowRight");
    let detail = page.value("document.querySelector('.detail').textContent");
    assert_eq!(detail, json!("token 5 “b” · id 6 · log-prob −0.2 · advantage −1 · value 0.2"));
    page.press("ArrowLeft");
    let detail = page.value("document.querySelector('.detail').textContent");
    assert!(detail.as_str().unwrap().starts_with("token 4 “a”"), "{detail}");
    assert!(page.complaints.is_empty(), "{:#?}", page.complaints);
}

/// The lowest contrast of any text with what lies behind it, with where that is.
const CONTRAST: &str = r"(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let least = [21, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('script, style, title, desc')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(element);
    const [a, b] = [over(behind), over([...behind, element.closest('svg') ? style.fill : style.color])].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < least[0]) least = [contrast, `${element.tagName}.${element.className} ${walker.currentNode.data.slice(0, 40)}`];
  }
  return least;
})()";

#[test]
fn every_text_stands_out_in_both_schemes() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let Some(mut page) = Page::open() else { return };
    for scheme in ["light", "dark"] {
        for colour in ["trained", "logprobs", "advantages"] {
            page.scheme(scheme);
            page.load(&file, &format!("#source=rl&iteration=3&colour={colour}"));
            let least = page.value(CONTRAST);
            assert!(least[0].as_f64().unwrap() >= 4.5, "{scheme}, {colour}: {least}");
        }
    }
}
