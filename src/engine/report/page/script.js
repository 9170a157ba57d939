// The browser of transcripts: chooses, lays side by side, colours tokens. The address keeps what is chosen.
// Texts come from models and environments and are only ever set as text.
"use strict";
(() => {
  const source = document.getElementById("transcript-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const all = data.episodes;
  const form = document.getElementById("filter");
  const colours = document.getElementById("colour");
  const list = document.getElementById("episodes");
  const more = document.getElementById("more");
  const found = document.getElementById("found");
  const heading = document.getElementById("transcripts");
  const PAGE = 12;
  const PICKED = ["best", "worst", "random"];
  const KEYS = ["source", "run", "iteration", "env", "ending", "picked", "min", "max", "text", "colour"];
  const MODES = {
    trained: "trained or not",
    logprobs: "log-prob",
    gap: "log-prob − reference",
    advantages: "advantage",
    values: "value",
    returns: "return",
  };
  // Probabilities of 0.95, 0.7, 0.37 and 0.14: a token below the last was a surprise.
  const SURPRISE = [0.05, 0.35, 1, 2];

  let shown = PAGE;
  let colour = "trained";

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };
  const number = (value) => (value === null || value === undefined ? "–" : String(Math.round(value * 1000) / 1000).replace("-", "−"));
  const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

  // What would act on the page's text unseen: control characters, and those that turn its direction.
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
  const AROUND = new RegExp(`(${UNSEEN.source})`, "u");
  const visible = (parent, text) => {
    for (const part of text.split(AROUND)) {
      if (!part) continue;
      if (UNSEEN.test(part)) {
        const code = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
        parent.append(element("span", { class: "control" }, `⟨U+${code}⟩`));
      } else {
        parent.append(part);
      }
    }
    return parent;
  };

  // The filter ------------------------------------------------------------------------------------------------------------

  const unique = (values) => [...new Set(values.filter((value) => value !== null && value !== undefined && value !== ""))];

  const fill = (name, values, label, wanted, any = "any") => {
    const select = form.elements[name];
    const options = any === null ? values : ["", ...values];
    select.replaceChildren(...options.map((value) => element("option", { value }, value === "" ? any : label(value))));
    select.value = values.map(String).includes(String(wanted)) ? String(wanted) : any === null ? String(values[0]) : "";
    select.parentElement.hidden = values.length < 2;
  };

  const titleOf = (name) => (name === "evaluation" ? "evaluation" : name.endsWith(" records") ? name : `${name} episodes`);

  const fillAll = (wanted) => {
    const sources = unique(all.map((episode) => episode.source)).sort((a, b) => (b === "rl") - (a === "rl"));
    fill("source", sources, titleOf, wanted.source, null);
    const here = all.filter((episode) => episode.source === form.elements.source.value);
    const of = (key) => unique(here.map((episode) => episode[key]));
    const iterations = of("iteration").sort((a, b) => a - b);
    fill("run", of("run"), (run) => data.runs[run], wanted.run);
    fill("iteration", iterations, String, wanted.iteration ?? iterations.at(-1), iterations.length > 1 ? "all" : "any");
    fill("env", of("env"), String, wanted.env);
    fill("ending", of("ending"), String, wanted.ending);
    fill("picked", PICKED.filter((reason) => here.some((episode) => episode.picked?.includes(reason))), String, wanted.picked);
    for (const key of ["min", "max", "text"]) form.elements[key].value = wanted[key] ?? "";
  };

  const chosen = () => Object.fromEntries(KEYS.map((key) => [key, key === "colour" ? colour : form.elements[key].value]));

  const textOf = (episode) => episode.tokens?.text ?? episode.messages?.map(([, text]) => text).join("\n") ?? "";

  const matches = (want) => (episode) => {
    const is = (key) => want[key] === "" || String(episode[key] ?? "") === want[key];
    const isWithin = (want.min === "" || episode.score >= Number(want.min)) && (want.max === "" || episode.score <= Number(want.max));
    const isPicked = want.picked === "" || (episode.picked ?? "").includes(want.picked);
    const hasText = want.text === "" || textOf(episode).toLowerCase().includes(want.text.toLowerCase());
    return is("source") && is("run") && is("iteration") && is("env") && is("ending") && isWithin && isPicked && hasText;
  };

  // Side by side: of the evaluation what every model did on a task, of training what was sampled of an environment in an iteration.
  const groupOf = (episode) =>
    episode.model !== undefined
      ? `${episode.env}, task ${episode.task}`
      : [episode.env || episode.source, episode.iteration > 0 ? `iteration ${episode.iteration}` : ""].filter(Boolean).join(", ");

  // A task of the evaluation is shown of all models where one of them is chosen.
  const withPartners = (episodes) => {
    const groups = new Set(episodes.map(groupOf));
    const source = form.elements.source.value;
    if (source !== "evaluation") return episodes;
    return all.filter((episode) => episode.source === source && groups.has(groupOf(episode)));
  };

  // An episode -------------------------------------------------------------------------------------------------------------

  const who = (name, reward) =>
    element("div", { class: "who" }, element("span", {}, name), ...(reward === null || reward === undefined ? [] : [element("span", {}, `reward ${number(reward)}`)]));

  const isTrainedAt = (mask) => {
    let place = 0;
    return (token) => {
      while (place < mask.length && token >= mask[place][1]) place += 1;
      return place < mask.length && token >= mask[place][0];
    };
  };

  // Stretches between and in the replies: [from, to, turn or null].
  const stretches = (tokens) => {
    const turns = tokens.turns.length > 0 ? tokens.turns : tokens.mask.map(([from, to]) => [from, to, null]);
    const cut = [];
    let place = 0;
    turns.forEach(([from, to, reward], turn) => {
      if (from > place) cut.push([place, from, null]);
      cut.push([from, to, { number: turn + 1, reward }]);
      place = to;
    });
    if (place < tokens.lengths.length) cut.push([place, tokens.lengths.length, null]);
    return cut;
  };

  const columnOf = (tokens, mode) => {
    const columns = tokens.columns;
    if (mode !== "gap") return columns[mode];
    const reference = columns.reference_logprobs;
    return columns.logprobs && reference && columns.logprobs.map((value, at) => (value === null || reference[at] === null ? null : value - reference[at]));
  };

  const tokenTexts = (tokens) => {
    let place = 0;
    return tokens.lengths.map((length) => tokens.text.slice(place, (place += length)));
  };

  const tokenView = (episode) => {
    const { tokens } = episode;
    const body = element("div");
    const isTrained = isTrainedAt(tokens.mask);
    const texts = tokenTexts(tokens);
    let trained = 0;
    for (const [from, to, turn] of stretches(tokens)) {
      // What stands alone between two turns is often a line's end.
      const isBlank = !turn && texts.slice(from, to).join("").trim() === "";
      const block = element("div", { class: turn ? "said reply" : "said" });
      if (!isBlank) block.append(who(turn ? `reply ${turn.number}` : "context", turn?.reward));
      let plain = "";
      let isFirst = true;
      const flush = () => {
        // The line's end behind a reply would be an empty line here.
        if (isFirst) plain = plain.replace(/^\n/, "");
        if (plain) block.append(visible(element("span", { class: "untrained" }), plain));
        plain = "";
        isFirst = false;
      };
      for (let at = from; at < to; at += 1) {
        if (!isTrained(at)) {
          plain += texts[at];
          continue;
        }
        flush();
        block.append(visible(element("span", { class: "token", "data-at": at, "data-trained": trained }), texts[at]));
        trained += 1;
      }
      flush();
      if (!isBlank) body.append(block);
    }
    return body;
  };

  const messageView = (episode) =>
    element("div", {}, ...(episode.messages ?? []).map(([role, text]) => {
      const block = element("div", { class: role === "assistant" ? "said reply" : "said" }, who(role));
      return visible(block, text);
    }));

  const about = (episode) => {
    const has = (value) => value !== null && value !== undefined;
    return [
      has(episode.score) && `score ${number(episode.score)}${has(episode.own) && episode.own !== episode.score ? ` (${number(episode.own)} on its own scale)` : ""}`,
      has(episode.success) && (episode.success ? "success" : "no success"),
      has(episode.ending) && episode.ending + (episode.reason ? `: ${episode.reason}` : ""),
      has(episode.reward) && `reward ${number(episode.reward)}`,
      has(episode.picked) && episode.model === undefined && `picked as ${episode.picked}`,
      data.runs.length > 1 && data.runs[episode.run],
    ].filter(Boolean).join(" · ");
  };

  const NAMES = { logprobs: "log-prob", reference_logprobs: "reference", advantages: "advantage", values: "value", returns: "return" };

  const select = (article, token) => {
    const episode = article.episode;
    article.querySelector("[aria-current]")?.removeAttribute("aria-current");
    token.setAttribute("aria-current", "true");
    token.scrollIntoView({ block: "nearest", inline: "nearest" });
    const at = Number(token.dataset.at);
    const trained = Number(token.dataset.trained);
    const parts = [`token ${at} “${token.textContent}”`];
    if (episode.tokens.ids) parts.push(`id ${episode.tokens.ids[at]}`);
    for (const [name, title] of Object.entries(NAMES)) {
      const value = episode.tokens.columns[name]?.[trained];
      if (value !== undefined) parts.push(`${title} ${value === null ? "–" : number(value / 1000)}`);
    }
    article.querySelector(".detail").textContent = parts.join(" · ");
  };

  const step = (article, by) => {
    const tokens = [...article.querySelectorAll(".token")];
    const now = tokens.indexOf(article.querySelector("[aria-current]"));
    const next = now < 0 ? tokens[by > 0 ? 0 : tokens.length - 1] : tokens[now + by];
    if (next) select(article, next);
  };

  const card = (episode, place) => {
    const heading = element("h4", { id: `episode-${place}` });
    visible(heading, episode.model ?? [episode.env || "record", episode.task === undefined ? `${episode.index}` : `task ${episode.task}`].join(", "));
    const transcript = element("div", { class: "transcript", tabindex: 0, role: "group", "aria-labelledby": heading.id, dir: "auto" });
    transcript.append(episode.tokens ? tokenView(episode) : messageView(episode));
    const article = element("article", { class: "episode", "aria-labelledby": heading.id }, heading, visible(element("p", { class: "about" }), about(episode)), transcript);
    article.episode = episode;
    if (!episode.tokens) return article;
    const hasNumbers = Object.keys(episode.tokens.columns).length > 0;
    const hint = hasNumbers ? "Click a token, or use ← and →, for its numbers." : "Without numbers per token.";
    article.append(element("p", { class: "detail", "aria-live": "polite" }, hint));
    transcript.addEventListener("click", (event) => {
      const token = event.target.closest(".token");
      if (token) select(article, token);
    });
    transcript.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      step(article, by);
    });
    return article;
  };

  // Colours ------------------------------------------------------------------------------------------------------------------

  // What 98 of 100 numbers shown stay within, so that a few extremes do not make all others pale; at least 0.001.
  const reach = (articles, mode) => {
    const sizes = articles.flatMap((article) => (article.episode.tokens && columnOf(article.episode.tokens, mode)) || []).filter((value) => value !== null).map(Math.abs).sort((a, b) => a - b);
    return Math.max(sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 0, 1) / 1000;
  };

  const classOf = (mode, value, most) => {
    if (mode === "logprobs") {
      const above = SURPRISE.filter((limit) => -value > limit).length;
      return above === 0 ? "" : `minus-${above}`;
    }
    const level = Math.min(4, Math.round((4 * Math.abs(value)) / most));
    return level === 0 ? "" : `${value > 0 ? "plus" : "minus"}-${level}`;
  };

  const explain = (most) => {
    const scale = document.getElementById("scale");
    scale.hidden = colour === "trained";
    const marks = colour === "logprobs"
      ? SURPRISE.map((limit, at) => [`minus-${at + 1}`, `below ${number(-limit)}`])
      : [-4, -2, 0, 2, 4].map((level) => [level === 0 ? "" : `${level > 0 ? "plus" : "minus"}-${Math.abs(level)}`, number((most * level) / 4)]);
    scale.replaceChildren(`${MODES[colour]}: `, ...marks.map(([name, text]) => element("span", { class: name }, text)));
  };

  const paint = () => {
    const articles = [...list.querySelectorAll(".episode")];
    const most = colour === "trained" || colour === "logprobs" ? 1 : reach(articles, colour);
    list.className = `by-${colour}`;
    for (const article of articles) {
      const column = article.episode.tokens && columnOf(article.episode.tokens, colour);
      for (const token of article.querySelectorAll(".token")) {
        const value = column?.[Number(token.dataset.trained)];
        token.className = `token ${value === null || value === undefined ? "" : classOf(colour, value / 1000, most)}`.trim();
      }
    }
    explain(most);
  };

  const offerColours = (episodes) => {
    const known = Object.keys(MODES).filter((mode) => mode === "trained" || episodes.some((episode) => episode.tokens && columnOf(episode.tokens, mode)));
    if (!known.includes(colour)) colour = "trained";
    const old = document.activeElement?.closest("#colour") ? colour : null;
    colours.replaceChildren(colours.querySelector("legend"), ...known.map((mode) => {
      const input = element("input", { type: "radio", name: "colour", value: mode });
      input.checked = mode === colour;
      return element("label", {}, input, MODES[mode]);
    }));
    colours.hidden = known.length < 2;
    if (old) colours.querySelector(`[value="${old}"]`)?.focus();
  };

  // All of it ----------------------------------------------------------------------------------------------------------------

  const keep = () => {
    const want = Object.entries(chosen()).filter(([key, value]) => value !== "" && !(key === "colour" && value === "trained"));
    try {
      history.replaceState(null, "", `#${new URLSearchParams(want)}`);
    } catch {
      // A page that may not change its address works without.
    }
  };

  const render = () => {
    const hits = all.filter(matches(chosen()));
    const episodes = withPartners(hits);
    const groups = Map.groupBy(episodes, groupOf);
    let place = 0;
    list.replaceChildren();
    for (const [name, members] of groups) {
      if (place >= shown) break;
      const heading = visible(element("h3"), name);
      const reasons = members[0].model === undefined ? null : members[0].picked;
      if (reasons) heading.append(" ", visible(element("small"), reasons));
      list.append(element("section", { class: "group" }, heading, element("div", { class: "beside" }, ...members.map((episode) => card(episode, place++)))));
    }
    found.textContent = `${count(episodes.length, "transcript")}${episodes.length > place ? `, the first ${place} shown` : ""}.`;
    more.hidden = episodes.length <= place;
    offerColours(episodes);
    paint();
  };

  const change = () => {
    shown = PAGE;
    render();
    keep();
  };

  const fromAddress = () => {
    const hash = location.hash.slice(1);
    // An address that names no iteration means all; without an address the last one is shown.
    return hash.includes("=") ? { iteration: "", ...Object.fromEntries(new URLSearchParams(hash)) } : null;
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    // Another source has other iterations, environments and endings.
    if (event.target.name === "source") fillAll({ source: form.elements.source.value });
    change();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    fillAll({ source: form.elements.source.value, iteration: "" });
    change();
  });
  colours.addEventListener("input", (event) => {
    colour = event.target.value;
    paint();
    keep();
  });
  more.addEventListener("click", () => {
    const first = list.querySelectorAll(".transcript").length;
    shown = first + PAGE;
    render();
    list.querySelectorAll(".transcript")[first]?.focus();
  });
  window.addEventListener("hashchange", () => {
    const wanted = fromAddress();
    if (!wanted) return;
    start(wanted);
    heading.scrollIntoView();
  });

  const start = (wanted) => {
    colour = wanted.colour in MODES ? wanted.colour : "trained";
    fillAll(wanted);
    shown = PAGE;
    render();
  };

  form.hidden = false;
  start(fromAddress() ?? {});
  if (fromAddress()) heading.scrollIntoView();
})();
