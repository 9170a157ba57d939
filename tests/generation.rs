//! Sampling from toy models: what a reply depends on, what its log-probs are, where it ends.

use affine::engine::generate::{Finish, GenerateOptions, Generation, Sampling, generate};
use affine::engine::model::{Mode, Model, ModelConfig, ModelShape};
use tch::{Device, Kind, Tensor};

use super::toys::{model, model_with, tokenizer};

/// Nine prompts of different lengths.
fn prompts(model: &Model) -> Vec<Vec<i64>> {
    let words = ["red", "blue green", "one two three one two three", "yes", "no no no", "x", "red blue", "three", "."];
    words.iter().map(|text| model.tokenizer().unwrap().encode(text).unwrap()).collect()
}

fn options() -> GenerateOptions {
    GenerateOptions { max_new_tokens: 20, seed: 3, ..GenerateOptions::default() }
}

fn tokens(generations: &[Generation]) -> Vec<Vec<i64>> {
    generations.iter().map(|generation| generation.tokens.clone()).collect()
}

fn assert_same(a: &Generation, b: &Generation) {
    assert_eq!((&a.tokens, &a.text, a.finish), (&b.tokens, &b.text, b.finish));
    for (a, b) in a.logprobs.iter().zip(&b.logprobs) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

#[test]
fn a_row_depends_neither_on_the_batch_size_nor_on_its_neighbours() {
    let model = model();
    let prompts = prompts(&model);
    for temperature in [0.0, 0.7, 1.0] {
        let options = GenerateOptions { temperature, ..options() };
        let together = generate(&model, &prompts, &options).unwrap();
        for batch_size in [1, 2, 4] {
            let split = generate(&model, &prompts, &GenerateOptions { batch_size, ..options.clone() }).unwrap();
            together.iter().zip(&split).for_each(|(a, b)| assert_same(a, b));
        }
        let mut others = prompts.clone();
        others.iter_mut().enumerate().filter(|(i, _)| *i != 4).for_each(|(_, prompt)| prompt.extend([70, 71, 72]));
        assert_same(&generate(&model, &others, &options).unwrap()[4], &together[4]);
    }
}

#[test]
fn the_seed_decides_what_is_drawn() {
    let model = model();
    let prompts = prompts(&model);
    let drawn = |seed| tokens(&generate(&model, &prompts, &GenerateOptions { seed, ..options() }).unwrap());
    assert_eq!(drawn(3), drawn(3));
    assert_ne!(drawn(3), drawn(4));
    // Rows draw from streams of their own, so the same prompt twice is answered twice.
    let twice = generate(&model, &[prompts[0].clone(), prompts[0].clone()], &options()).unwrap();
    assert_ne!(twice[0].tokens, twice[1].tokens);
}

#[test]
fn log_probs_are_those_of_a_forward_pass_at_the_temperature() {
    let model = model();
    let prompts = prompts(&model);
    for (temperature, top_k, top_p) in [(1.0, 0, 1.0), (0.7, 0, 1.0), (0.7, 5, 0.9), (0.0, 0, 1.0)] {
        let options = GenerateOptions { temperature, top_k, top_p, ..options() };
        for (prompt, generation) in prompts.iter().zip(generate(&model, &prompts, &options).unwrap()) {
            let ids = [prompt.as_slice(), &generation.tokens].concat();
            // Greedy log-probs are unscaled; top-k and top-p leave them as they are.
            let expected = model.logprobs(&ids, if temperature == 0.0 { 1.0 } else { temperature }).unwrap();
            assert_eq!(generation.logprobs.len(), generation.tokens.len());
            for (got, expected) in generation.logprobs.iter().zip(&expected[prompt.len() - 1..]) {
                assert!((got - expected).abs() < 1e-4, "temperature {temperature}: {got} instead of {expected}");
            }
        }
    }
}

#[test]
fn greedy_takes_the_likeliest_token_and_so_do_top_k_of_1_and_a_tiny_top_p() {
    let model = model();
    let prompts = prompts(&model);
    let greedy = generate(&model, &prompts, &GenerateOptions { temperature: 0.0, ..options() }).unwrap();
    for (prompt, generation) in prompts.iter().zip(&greedy) {
        let mut ids = prompt.clone();
        for &token in &generation.tokens {
            assert_eq!(token, distribution(&model, &ids, 1.0).argmax(-1, false).int64_value(&[]));
            ids.push(token);
        }
    }
    for narrow in [GenerateOptions { top_k: 1, ..options() }, GenerateOptions { top_p: 1e-6, ..options() }] {
        assert_eq!(tokens(&generate(&model, &prompts, &narrow).unwrap()), tokens(&greedy));
    }
}

/// Probabilities of the token after `ids`, `[V]`.
fn distribution(model: &Model, ids: &[i64], temperature: f64) -> Tensor {
    let _no_grad = tch::no_grad_guard();
    let hidden = model.net.hidden(&Tensor::from_slice(ids).unsqueeze(0), Mode::Inference);
    let last = hidden.select(1, ids.len() as i64 - 1);
    (model.net.logits(&last) / temperature).softmax(-1, Kind::Double).squeeze()
}

/// How often each token comes first in 4000 replies to one prompt.
fn frequencies(model: &Model, prompt: &[i64], options: GenerateOptions) -> Vec<f64> {
    let options = GenerateOptions { max_new_tokens: 1, batch_size: 4000, ..options };
    let mut counts = vec![0.0; model.net.config.vocab_size as usize];
    for generation in generate(model, &vec![prompt.to_vec(); 4000], &options).unwrap() {
        counts[generation.tokens[0] as usize] += 1.0;
    }
    counts.iter().map(|count| count / 4000.0).collect()
}

#[test]
fn tokens_come_as_often_as_their_probability_says() {
    let model = model();
    let prompt = &prompts(&model)[1];
    for temperature in [0.7, 1.0] {
        let expected: Vec<f64> = Vec::try_from(&distribution(&model, prompt, temperature)).unwrap();
        let got = frequencies(&model, prompt, GenerateOptions { temperature, ..options() });
        for (token, (got, p)) in got.iter().zip(&expected).enumerate() {
            let deviation = (p * (1.0 - p) / 4000.0).sqrt();
            assert!((got - p).abs() < 5.0 * deviation + 1e-3, "token {token}: {got} instead of {p}");
        }
    }
}

#[test]
fn top_k_and_top_p_draw_from_the_likeliest_alone() {
    let model = model();
    let prompt = &prompts(&model)[1];
    let (sorted, order) = distribution(&model, prompt, 1.0).sort(-1, true);
    let (sorted, order): (Vec<f64>, Vec<i64>) = (Vec::try_from(&sorted).unwrap(), Vec::try_from(&order).unwrap());
    let nucleus = sorted.iter().scan(0.0, |mass, p| Some(std::mem::replace(mass, *mass + p))).take_while(|m| *m < 0.5);
    for (narrow, allowed) in
        [(GenerateOptions { top_k: 5, ..options() }, 5), (GenerateOptions { top_p: 0.5, ..options() }, nucleus.count())]
    {
        let got = frequencies(&model, prompt, narrow);
        let mass: f64 = sorted[..allowed].iter().sum();
        for (place, &token) in order.iter().enumerate() {
            let p = if place < allowed { sorted[place] / mass } else { 0.0 };
            assert!((got[token as usize] - p).abs() < 5.0 * (p * (1.0 - p) / 4000.0).sqrt() + 1e-9, "place {place}");
        }
    }
}

/// A model whose head has 40 rows more than the tokenizer has ids, all of them likelier than any token.
fn padded() -> Model {
    let tokenizer = tokenizer();
    let shape = ModelShape {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        tie_word_embeddings: false,
        ..ModelShape::default()
    };
    let rows = tokenizer.vocab_size() + 40;
    let config = ModelConfig::from_document(ModelConfig::new_document(&shape, rows)).unwrap();
    let model = Model::random(config, Some(tokenizer), 1, Kind::Float, Device::Cpu).unwrap();
    let _no_grad = tch::no_grad_guard();
    for (name, tensor) in model.net.weights() {
        if name == "lm_head.weight" {
            // Each padding row twice, once with the other sign: one of the two is always likely.
            let mut padding = tensor.narrow(0, rows - 40, 40);
            let half = padding.narrow(0, 0, 20) * 100.0;
            padding.copy_(&Tensor::cat(&[&half, &-&half], 0));
        }
    }
    model
}

#[test]
fn rows_of_the_head_that_are_no_token_are_never_sampled() {
    let model = padded();
    let tokens_there = model.tokenizer().unwrap().vocab_size();
    let prompts = prompts(&model);
    // Without a tokenizer nobody knows which rows are tokens.
    let unread = Model::random(model.net.config.clone(), None, 1, Kind::Float, Device::Cpu).unwrap();
    assert!(unread.never_said().is_none());
    assert_eq!(model.never_said().unwrap().sum(Kind::Int64).int64_value(&[]), 40);
    for (temperature, top_k, top_p) in [(0.0, 0, 1.0), (1.0, 0, 1.0), (5.0, 0, 0.9), (1.0, 3, 1.0), (0.7, 60, 0.5)] {
        let options = GenerateOptions { temperature, top_k, top_p, ..options() };
        for (prompt, generation) in prompts.iter().zip(generate(&model, &prompts, &options).unwrap()) {
            assert!(generation.tokens.iter().all(|&id| id < tokens_there), "{:?}", generation.tokens);
            // The log-probs stay those of the whole head, which is what a trainer computes.
            let ids = [prompt.as_slice(), &generation.tokens].concat();
            let expected = model.logprobs(&ids, if temperature == 0.0 { 1.0 } else { temperature }).unwrap();
            for (got, expected) in generation.logprobs.iter().zip(&expected[prompt.len() - 1..]) {
                assert!((got - expected).abs() < 1e-3 * expected.abs().max(1.0), "{got} instead of {expected}");
            }
        }
    }
}

#[test]
fn ids_between_the_tokenizers_own_that_are_no_token_are_never_sampled() {
    let (sampling, never) = (Sampling { temperature: 1.0, top_k: 0, top_p: 1.0 }, [false, true, false, true]);
    let logits = Tensor::from_slice(&[0.0f32, 90.0, -2.0, 200.0]).view([1, 4]);
    let never = Tensor::from_slice(&never);
    let counts = (0..1000).fold([0; 4], |mut counts, i| {
        let (ids, logprobs) = sampling.sample(&logits, &[i as f64 / 1000.0], Some(&never));
        assert!((logprobs[0] - if ids[0] == 0 { -200.0 } else { -202.0 }).abs() < 1e-3, "{logprobs:?}");
        counts[ids[0] as usize] += 1;
        counts
    });
    // e⁰ and e⁻² in 1000 draws that are spread evenly.
    assert_eq!((counts[1], counts[3]), (0, 0));
    assert!((counts[0] - 881i32).abs() <= 1, "{counts:?}");
}

#[test]
fn a_reply_ends_at_an_end_token_at_a_stop_text_or_at_its_length() {
    let model = model();
    let prompts: Vec<Vec<i64>> = prompts(&model).into_iter().cycle().take(90).collect();
    let options = GenerateOptions { max_new_tokens: 40, ..options() };
    let free = generate(&model, &prompts, &options).unwrap();
    let ends = |token: &i64| model.eos_ids().contains(token);
    for generation in &free {
        match generation.finish {
            Finish::Stop => assert!(ends(generation.tokens.last().unwrap())),
            Finish::Length => assert_eq!(generation.tokens.len(), 40),
        }
        let before_the_last = &generation.tokens[..generation.tokens.len() - 1];
        assert!(!before_the_last.iter().any(ends));
        let content = if generation.finish == Finish::Stop { before_the_last } else { &generation.tokens };
        assert_eq!(generation.text, model.tokenizer().unwrap().decode(content, true).unwrap());
    }
    let stopped = free.iter().filter(|generation| generation.finish == Finish::Stop).count();
    assert!(stopped > 5 && stopped < 85, "{stopped}");

    // The third character of a long reply ends it in the second run.
    let (row, stop) = free
        .iter()
        .enumerate()
        .filter(|(_, generation)| generation.finish == Finish::Length)
        .find_map(|(row, generation)| {
            let third = generation.text.chars().nth(2).filter(|c| c.is_ascii_graphic())?;
            (generation.text.find(third) == generation.text.char_indices().nth(2).map(|(at, _)| at))
                .then(|| (row, third.to_string()))
        })
        .expect("some long reply has a new third character");
    let cut = generate(&model, &prompts, &GenerateOptions { stop: vec![stop.clone()], ..options }).unwrap();
    assert_eq!(cut[row].finish, Finish::Stop);
    assert_eq!(cut[row].text, free[row].text[..free[row].text.find(&stop).unwrap()]);
    assert!(free[row].tokens.starts_with(&cut[row].tokens) && cut[row].tokens.len() < free[row].tokens.len());
}

#[test]
fn a_reply_ends_where_the_context_does() {
    let model = model_with(1, 32);
    let prompts: Vec<Vec<i64>> = (0..40).map(|i| vec![100 + i; 1 + i as usize % 31]).collect();
    let options = GenerateOptions { max_new_tokens: 1000, ..options() };
    for (prompt, generation) in prompts.iter().zip(generate(&model, &prompts, &options).unwrap()) {
        let total = prompt.len() + generation.tokens.len();
        assert!(total == 32 || (total < 32 && generation.finish == Finish::Stop), "{total}");
    }
    let error = |prompt: Vec<i64>| generate(&model, &[vec![1], prompt], &options).unwrap_err().to_string();
    assert_eq!(error(vec![1; 32]), "prompt 2 has 32 tokens, which leaves no room in this model's context of 32");
    assert_eq!(error(vec![]), "prompt 2 is empty");
    let size = model.net.config.vocab_size;
    assert_eq!(error(vec![size]), format!("token id {size} is outside this model's vocabulary (0 to {})", size - 1));
}

#[test]
fn options_out_of_range_are_named() {
    let model = model();
    let error = |options: GenerateOptions| generate(&model, &[vec![1]], &options).unwrap_err().to_string();
    let base = options;
    assert_eq!(
        error(GenerateOptions { temperature: -1.0, ..base() }),
        "temperature: expected a number of at least 0, got -1"
    );
    assert_eq!(error(GenerateOptions { top_p: 0.0, ..base() }), "top_p: expected a number above 0, at most 1, got 0");
    assert_eq!(error(GenerateOptions { top_k: -1, ..base() }), "top_k: expected an integer of at least 0, got -1");
    assert_eq!(
        error(GenerateOptions { max_new_tokens: 0, ..base() }),
        "max_new_tokens: expected an integer of at least 1, got 0"
    );
}
