//! Episodes: ids that only grow, who said what, where rewards lie, and the ways in which an episode ends.

use affine::engine::env::{Environment, TurnLimit};
use affine::engine::eval::candidate::Candidate;
use affine::engine::eval::run::{EvalOptions, Keeping, run};
use affine::engine::eval::served::Served;
use affine::engine::generate::Sampling;
use affine::engine::model::Model;
use affine::engine::random;
use affine::engine::rl::options::{NumRollouts, PpoOptions};
use affine::engine::rl::ppo::Ppo;
use affine::engine::rollout::players::{self, Player};
use affine::engine::rollout::{Ending, Episode, Outcome, PlayOptions, Seat, check_failures, play, prompt_hash};
use affine::engine::text::{Conversation, Message};

use super::toys::{Break, Walk, model, model_with, with_lora};

const PLAY: PlayOptions = PlayOptions {
    sampling: Sampling { temperature: 0.7, top_k: 0, top_p: 1.0 },
    max_new_tokens: 6,
    batch_size: 16,
    as_served: false,
};

fn seats(walk: &Walk, tasks: impl IntoIterator<Item = u64>) -> Vec<Seat> {
    let seat =
        |task_id| Seat { environment: Box::new(walk.clone()), task_id, stream: random::stream(9, "test", task_id) };
    tasks.into_iter().map(seat).collect()
}

fn walks(model: &Model, walk: &Walk, tasks: u64, options: &PlayOptions) -> Vec<Episode> {
    play(model, seats(walk, 0..tasks), options, &mut |_| {}).unwrap()
}

#[test]
fn an_episode_keeps_every_id_and_knows_who_said_it() {
    let model = model();
    let tokenizer = model.tokenizer().unwrap();
    let observation = tokenizer.encode("go on").unwrap();
    for episode in walks(&model, &Walk::new(), 12, &PLAY) {
        let turns = episode.task_id as usize % 3 + 1;
        assert_eq!((episode.turns.len(), &episode.ending), (turns, &Ending::Terminated));
        let prompt = Conversation::open(tokenizer, &Walk::opening(episode.task_id)).unwrap();
        assert!(episode.ids.starts_with(prompt.ids()));
        assert_eq!(episode.turns[0].tokens.start, prompt.len());
        assert_eq!(episode.turns[turns - 1].tokens.end, episode.ids.len());

        // The mask is the turns, and between two of them stands the observation.
        let said: Vec<usize> = episode.turns.iter().flat_map(|turn| turn.tokens.clone()).collect();
        let masked: Vec<usize> = (0..episode.ids.len()).filter(|&t| episode.mask[t]).collect();
        assert_eq!(said, masked);
        for pair in episode.turns.windows(2) {
            let between = &episode.ids[pair[0].tokens.end..pair[1].tokens.start];
            assert!(between.windows(observation.len()).any(|ids| ids == observation), "{between:?}");
        }
        for (turn, earned) in episode.turns.iter().zip(1..) {
            assert!(!turn.tokens.is_empty() && turn.tokens.len() <= 6);
            assert!(turn.reward >= f64::from(earned) && turn.reward < f64::from(earned) + 1.0);
        }
        let last = episode.turns[turns - 1].reward;
        assert_eq!((episode.score, episode.normalised_score), (last, last / 10.0));
        assert_eq!(episode.success, last >= 3.0);
        let roles: Vec<&str> = episode.messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["user", "assistant"].repeat(turns));
    }
}

#[test]
fn a_longer_episode_extends_the_ids_of_a_shorter_one() {
    let model = model();
    let long = walks(&model, &Walk { length: |_| 5, ..Walk::new() }, 6, &PLAY);
    for limit in 1..5 {
        for (short, long) in
            walks(&model, &Walk { length: |_| 5, max_turns: limit, ..Walk::new() }, 6, &PLAY).iter().zip(&long)
        {
            assert!(long.ids.starts_with(&short.ids));
            assert_eq!(long.turns[..limit], short.turns);
            assert_eq!(short.ending, Ending::Terminated);
        }
    }
}

#[test]
fn log_probs_of_every_turn_are_those_of_one_fresh_pass() {
    let model = model();
    for episode in walks(&model, &Walk { length: |_| 4, ..Walk::new() }, 12, &PLAY) {
        let fresh = model.logprobs(&episode.ids, 0.7).unwrap();
        for t in 0..episode.ids.len() {
            let expected = if episode.mask[t] { fresh[t - 1] } else { 0.0 };
            let got = episode.logprobs[t];
            assert!((got - expected).abs() < 1e-4, "token {t}: {got} instead of {expected}");
        }
    }
}

/// What a chat server reads at each turn is the template over the messages, whatever ids the replies had.
#[test]
fn as_served_each_turn_follows_the_rendered_messages() {
    let model = model_with(1, 256);
    let tokenizer = model.tokenizer().unwrap();
    let served = PlayOptions { as_served: true, ..PLAY };
    let walk = Walk { length: |task| task as usize % 4 + 1, ..Walk::new() };
    let episodes = walks(&model, &walk, 16, &served);
    let (mut differing, mut same, mut changes) = (0, 0, Vec::new());
    for episode in &episodes {
        for (turn, played) in episode.turns.iter().enumerate() {
            // The opening, and a reply and an observation for each turn before.
            let prompt = Conversation::open(tokenizer, &episode.messages[..1 + 2 * turn]).unwrap();
            let reply = &episode.ids[played.tokens.clone()];
            let fresh = model.logprobs(&[prompt.ids(), reply].concat(), 0.7).unwrap();
            for (place, token) in played.tokens.clone().enumerate() {
                let (got, expected) = (episode.logprobs[token], fresh[prompt.len() + place - 1]);
                assert!((got - expected).abs() < 1e-4, "task {}: {got} instead of {expected}", episode.task_id);
            }
            let differs = prompt.ids() != &episode.ids[..played.tokens.start];
            assert_eq!(played.prompt_differs, differs);
            *(if differs { &mut differing } else { &mut same }) += 1;
        }
        let found = Served::of(&model, episode, 0.7).unwrap();
        let trained = model.logprobs(&episode.ids, 0.7).unwrap();
        let tokens = episode.turns.iter().filter(|turn| turn.prompt_differs).flat_map(|turn| turn.tokens.clone());
        let change: f64 = tokens.map(|t| f64::from(episode.logprobs[t] - trained[t - 1]).abs()).sum();
        assert!((found.logprob_change - change).abs() < 1e-9);
        changes.push(found.logprob_change);
    }
    // Here most replies are read again as other tokens.
    assert!(differing > 10 && same > 16, "{differing} of {}", differing + same);
    assert!(changes.iter().any(|change| *change > 0.01), "{changes:?}");
    // Whatever plays beside it.
    let alone = walks(&model, &walk, 16, &PlayOptions { batch_size: 1, ..served });
    assert!(episodes.iter().zip(&alone).all(|(a, b)| a.ids == b.ids && a.messages == b.messages));
}

#[test]
fn an_episode_depends_neither_on_the_batch_size_nor_on_its_neighbours() {
    let model = model();
    let together = walks(&model, &Walk::new(), 12, &PLAY);
    for batch_size in [1, 5] {
        let split = walks(&model, &Walk::new(), 12, &PlayOptions { batch_size, ..PLAY });
        for (a, b) in together.iter().zip(&split) {
            assert_eq!((&a.ids, &a.turns), (&b.ids, &b.turns));
        }
    }
    let alone = play(&model, seats(&Walk::new(), [7]), &PLAY, &mut |_| {}).unwrap();
    assert_eq!(alone[0].ids, together[7].ids);
}

#[test]
fn an_environment_that_breaks_fails_its_own_episode_only() {
    let model = model();
    let whole = walks(&model, &Walk::new(), 12, &PLAY);
    let breaks = |task| match task {
        3 => Some(Break::Reset),
        // Of two turns.
        4 => Some(Break::Step),
        _ => None,
    };
    let mut ended = 0;
    let broken = play(&model, seats(&Walk { breaks, ..Walk::new() }, 0..12), &PLAY, &mut |n| ended += n).unwrap();
    assert_eq!(ended, 12);
    for (broken, whole) in broken.iter().zip(&whole) {
        match broken.task_id {
            3 => assert_eq!(broken.ending, Ending::Failed("environment walk: no such way".to_string())),
            4 => {
                assert_eq!(broken.ending, Ending::Failed("environment walk: a broken leg".to_string()));
                assert_eq!(broken.turns, whole.turns[..1]);
            }
            _ => assert_eq!((&broken.ids, &broken.ending), (&whole.ids, &whole.ending)),
        }
    }
}

#[test]
fn an_episode_that_failed_is_played_once_more_with_the_same_luck() {
    thread_local!(static BREAKS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    // Asked when task 4 begins and at its second turn: both say that it breaks, and then it is mended.
    let mends = |task| {
        let left = BREAKS.get();
        (task == 4 && left > 0).then(|| BREAKS.set(left - 1)).map(|()| Break::Step)
    };
    let model = model();
    let whole = walks(&model, &Walk::new(), 6, &PLAY);
    BREAKS.set(2);
    let mended = walks(&model, &Walk { breaks: mends, ..Walk::new() }, 6, &PLAY);
    assert_eq!(BREAKS.get(), 0);
    for (mended, whole) in mended.iter().zip(&whole) {
        assert_eq!((&mended.ids, &mended.turns, &mended.ending), (&whole.ids, &whole.turns, &whole.ending));
    }

    let seat = |walk: Walk| Seat { environment: Box::new(walk), task_id: 4, stream: random::stream(9, "test", 4) };
    let player = Player::Constant("abc".to_string());
    BREAKS.set(2);
    let mended = players::play(seat(Walk { breaks: mends, ..Walk::new() }), &player).unwrap().unwrap();
    let whole = players::play(seat(Walk::new()), &player).unwrap().unwrap();
    assert_eq!(mended, Outcome { seconds: mended.seconds, ..whole });
    assert_eq!((mended.ending, BREAKS.get()), (Ending::Terminated, 0));
}

#[test]
fn more_than_one_failure_in_twenty_stops_the_run() {
    let endings = |failed: usize, played: usize| -> Vec<Ending> {
        let ending = |i| if i < failed { Ending::Failed(format!("reason {i}")) } else { Ending::Terminated };
        (0..played).map(ending).collect()
    };
    // One in a handful is bad luck, and a run without episodes has no failures.
    for (failed, played) in [(0, 0), (0, 5), (1, 2), (1, 19), (1, 20), (2, 40), (10, 200)] {
        assert!(check_failures(endings(failed, played).iter().map(Ending::failure)).is_ok(), "{failed} of {played}");
    }
    for (failed, played) in [(1, 1), (2, 2), (2, 10), (2, 39), (11, 200)] {
        let error = check_failures(endings(failed, played).iter().map(Ending::failure)).unwrap_err();
        assert_eq!(error.to_string(), format!("{failed} of {played} episodes failed, more than 5 %"));
        assert_eq!(error.hint(), Some("the first of them: reason 0"));
    }
}

#[test]
fn an_episode_without_an_end_of_its_own_ends_as_its_environment_declares() {
    let model = model();
    for (turn_limit, ending) in [(TurnLimit::Task, Ending::Terminated), (TurnLimit::Outside, Ending::Truncated)] {
        let walk = Walk { length: |_| usize::MAX, max_turns: 3, turn_limit, ..Walk::new() };
        for episode in walks(&model, &walk, 3, &PLAY) {
            assert_eq!((episode.turns.len(), &episode.ending), (3, &ending));
            // Nobody answers an observation after the last turn.
            assert_eq!(episode.turns[2].tokens.end, episode.ids.len());
            assert_eq!(episode.unanswered.is_empty(), turn_limit == TurnLimit::Task);
        }
    }
}

#[test]
fn a_cut_episode_is_worth_what_the_value_head_says_where_the_next_reply_would_begin() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_lora(model());
    let options = |bootstrap_truncated| PpoOptions {
        output_dir: folder.path().to_path_buf(),
        num_rollouts: NumRollouts::Each(8),
        minibatch_size: 4,
        value_learning_rate: 1e-2,
        max_new_tokens: 6,
        bootstrap_truncated,
        ..PpoOptions::default()
    };
    let endless = |max_turns, turn_limit| -> Vec<Box<dyn Environment>> {
        vec![Box::new(Walk { length: |_| usize::MAX, max_turns, turn_limit, ..Walk::new() })]
    };
    let mut ppo = Ppo::new(&model, options(true)).unwrap();
    // A head that has learned nothing says 0 everywhere.
    ppo.iterate(&model, &endless(3, TurnLimit::Task)).unwrap();
    let rollout = |turns, limit| ppo.rollout(&model, &endless(turns, limit), None).unwrap();
    let (cut, longer) = (rollout(2, TurnLimit::Outside), rollout(3, TurnLimit::Task));
    for (cut, longer) in cut.samples.iter().zip(&longer.samples) {
        assert!(longer.episode.ids.starts_with(&cut.episode.ids) && cut.bootstrap.abs() > 1e-3);
        // The state before the third reply, whose value the head is trained at.
        let expected = f64::from(longer.values[longer.episode.turns[2].tokens.start]);
        assert!((cut.bootstrap - expected).abs() < 1e-5, "{} instead of {expected}", cut.bootstrap);
        assert_eq!(longer.bootstrap, 0.0);
    }
    let ended = rollout(2, TurnLimit::Task);
    assert!(ended.samples.iter().all(|sample| sample.bootstrap == 0.0));
    let without = Ppo::new(&model, options(false)).unwrap();
    let cut = without.rollout(&model, &endless(2, TurnLimit::Outside), None).unwrap();
    assert!(cut.samples.iter().all(|sample| sample.bootstrap == 0.0));
}

#[test]
fn an_episode_that_fills_the_context_is_truncated_and_can_be_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_lora(model_with(1, 64));
    let endless = Walk { length: |_| usize::MAX, max_turns: 50, ..Walk::new() };
    let talkative = Walk { observation: "one two three ".repeat(30), ..endless.clone() };
    for walk in [endless, talkative] {
        for episode in walks(&model, &walk, 6, &PLAY) {
            assert_eq!(episode.ending, Ending::Truncated);
            assert!(!episode.turns.is_empty() && episode.turns.len() < 10);
            assert!(episode.ids.len() <= 64, "{}", episode.ids.len());
            assert_eq!((episode.mask.len(), episode.logprobs.len()), (episode.ids.len(), episode.ids.len()));
            assert_eq!(episode.turns.last().unwrap().tokens.end, episode.ids.len());
            assert!(!episode.unanswered.is_empty());
        }
        let options =
            PpoOptions { output_dir: folder.path().to_path_buf(), max_new_tokens: 6, ..PpoOptions::default() };
        let ppo = Ppo::new(&model, options).unwrap();
        let rollout = ppo.rollout(&model, &[Box::new(walk)], Some(4)).unwrap();
        assert_eq!(rollout.samples.len(), 4);
    }
}

#[test]
fn an_opening_that_fills_the_context_is_a_failed_episode() {
    let model = model_with(1, 16);
    let episodes = walks(&model, &Walk::new(), 3, &PLAY);
    let reason = "leaves no room in this model's context of 16";
    assert!(episodes.iter().all(|e| matches!(&e.ending, Ending::Failed(text) if text.contains(reason))));

    let options = EvalOptions { num_eval_samples: 3, ..EvalOptions::default() };
    let error = run(Candidate::Model(&model), &[Box::new(Walk::new())], &options, &Keeping::default()).err().unwrap();
    assert_eq!(error.to_string(), "3 of 3 episodes failed, more than 5 %");
    assert!(error.hint().unwrap().contains(reason));
}

#[test]
fn a_sample_has_each_turns_reward_on_the_turns_last_token() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_lora(model());
    let options = PpoOptions { output_dir: folder.path().to_path_buf(), max_new_tokens: 6, ..PpoOptions::default() };
    let ppo = Ppo::new(&model, options).unwrap();
    let mut rollout = ppo.rollout(&model, &[Box::new(Walk { length: |_| 3, ..Walk::new() })], Some(10)).unwrap();
    ppo.advantages(&mut rollout).unwrap();
    assert_eq!(rollout.samples.len(), 10);
    for sample in &rollout.samples {
        let rewards = sample.token_rewards();
        let rewarded: Vec<(usize, f64)> =
            rewards.iter().copied().enumerate().filter(|(_, reward)| *reward != 0.0).collect();
        let expected: Vec<(usize, f64)> =
            sample.episode.turns.iter().map(|turn| (turn.tokens.end - 1, turn.reward)).collect();
        assert_eq!(rewarded, expected);
        let episode = &sample.episode;
        for t in (0..episode.ids.len()).filter(|&t| !episode.mask[t]) {
            assert_eq!((episode.logprobs[t], sample.advantages[t], sample.returns[t]), (0.0, 0.0, 0.0));
        }
    }
    let gap = rollout.report().sampler_gap.unwrap();
    assert!(gap < 1e-4, "{gap}");
}

#[test]
fn equal_openings_have_equal_hashes() {
    let hash = |task| prompt_hash(&Walk::opening(task));
    assert_eq!(hash(1), hash(8));
    assert_ne!(hash(1), hash(2));
    assert_ne!(prompt_hash(&[Message::user("a")]), prompt_hash(&[Message::new("system", "a")]));
}
