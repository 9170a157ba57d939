//! What the limits of every environment are: part of its task, or a cut from outside.

use affine::engine::env::alfworld::{AlfWorld, AlfWorldOptions, Split};
use affine::engine::env::babyai::{BabyAi, BabyAiOptions};
use affine::engine::env::sat::{Sat, SatOptions};
use affine::engine::env::sciworld::{SciWorld, SciWorldOptions};
use affine::engine::env::sciworld_mini::{SciWorldMini, SciWorldMiniOptions};
use affine::engine::env::textcraft::{TextCraft, TextCraftOptions};
use affine::engine::env::webshop::{WebShop, WebShopOptions};
use affine::engine::env::{Environment, TurnLimit};
use affine::engine::random;
use affine::engine::rollout::players::{self, Player};
use affine::engine::rollout::{Ending, Seat};

use super::sciworld::is_playable;

/// An environment with so many turns, or its own number of them; and a reply that never ends its episodes.
struct Case {
    make: fn(Option<usize>) -> Box<dyn Environment>,
    stalling: &'static str,
}

const CASES: [Case; 5] = [
    Case {
        make: |turns| {
            let own = TextCraftOptions::default();
            Box::new(TextCraft::new(&TextCraftOptions { max_turns: turns.unwrap_or(own.max_turns), ..own }).unwrap())
        },
        stalling: "Action:\ninventory",
    },
    Case {
        make: |turns| {
            let own = BabyAiOptions::default();
            Box::new(BabyAi::new(&BabyAiOptions { max_turns: turns.unwrap_or(own.max_turns), ..own }).unwrap())
        },
        stalling: "Action:\ncheck available actions",
    },
    Case {
        make: |turns| {
            let own = AlfWorldOptions { split: Some(Split::Generated), ..AlfWorldOptions::default() };
            Box::new(AlfWorld::new(&AlfWorldOptions { max_turns: turns.unwrap_or(own.max_turns), ..own }).unwrap())
        },
        stalling: "Action:\nlook",
    },
    Case {
        make: |turns| {
            let own = WebShopOptions { num_products: Some(50), ..WebShopOptions::default() };
            Box::new(WebShop::new(&WebShopOptions { max_turns: turns.unwrap_or(own.max_turns), ..own }).unwrap())
        },
        stalling: "Action:\nsearch[shoes]",
    },
    Case {
        make: |turns| {
            let own = SciWorldMiniOptions::default();
            let options = SciWorldMiniOptions { max_turns: turns.unwrap_or(own.max_turns), ..own };
            Box::new(SciWorldMini::new(&options).unwrap())
        },
        stalling: "Action:\nlook around",
    },
];

fn ending(environment: Box<dyn Environment>, task_id: u64, reply: &str) -> Ending {
    let seat = Seat { environment, task_id, stream: random::stream(1, "test", 0) };
    players::play(seat, &Player::Constant(reply.to_string())).unwrap().unwrap().ending
}

#[test]
fn an_environments_own_limit_of_turns_is_part_of_its_task_and_a_callers_lower_one_is_not() {
    for Case { make, stalling } in CASES {
        let own = make(None).describe();
        let name = own.name;
        assert_eq!((own.turn_limit, own.move_limit), (TurnLimit::Task, TurnLimit::Task), "{name}");
        assert_eq!(ending(make(None), 3, stalling), Ending::Terminated, "{name}");
        for turns in [1, own.max_turns - 1] {
            assert_eq!(ending(make(Some(turns)), 3, stalling), Ending::Truncated, "{name} with {turns} turns");
        }
        for turns in [own.max_turns, own.max_turns + 5] {
            assert_eq!(ending(make(Some(turns)), 3, stalling), Ending::Terminated, "{name} with {turns} turns");
        }
    }
}

#[test]
fn a_limit_of_moves_is_part_of_the_task_however_many_turns_a_caller_allows() {
    // Task 12 is a room whose limit of moves is reached by turning around.
    for max_turns in [1000, 2000] {
        let turning = BabyAi::new(&BabyAiOptions { max_turns, ..BabyAiOptions::default() }).unwrap();
        assert_eq!(ending(Box::new(turning), 12, "Action:\nturn left"), Ending::Terminated);
    }
    let cut = BabyAi::new(&BabyAiOptions { max_turns: 3, ..BabyAiOptions::default() }).unwrap();
    assert_eq!(cut.describe().move_limit, TurnLimit::Task);
    assert_eq!(ending(Box::new(cut), 12, "Action:\nturn left"), Ending::Truncated);
}

#[test]
fn one_reply_ends_a_task_of_one_turn() {
    let sat: Box<dyn Environment> = Box::new(Sat::new(&SatOptions::default()).unwrap());
    assert_eq!((sat.describe().turn_limit, sat.describe().max_turns), (TurnLimit::Task, 1));
    assert_eq!(ending(sat, 0, "x1=True"), Ending::Terminated);
}

#[test]
fn sciworlds_moves_are_a_rule_of_the_original_unless_a_caller_allows_fewer() {
    if !is_playable() {
        return;
    }
    let world = |step_limit, max_turns| {
        let options = SciWorldOptions {
            task: Some("boil".to_string()),
            variation: Some(0),
            step_limit,
            max_turns,
            ..SciWorldOptions::default()
        };
        SciWorld::new(&options).unwrap()
    };
    let limits = |env: SciWorld| (env.describe().turn_limit, env.describe().move_limit);
    assert_eq!(limits(world(100, 30)), (TurnLimit::Task, TurnLimit::Task));
    assert_eq!(limits(world(12, 10)), (TurnLimit::Outside, TurnLimit::Outside));
    // Waiting takes ten moves.
    assert_eq!(ending(Box::new(world(100, 60)), 0, "Action:\nwait"), Ending::Terminated);
    assert_eq!(ending(Box::new(world(12, 30)), 0, "Action:\nwait"), Ending::Truncated);
}
