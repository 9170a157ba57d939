//! The 40 levels of AgentGym's BabyAI, in its order: their mazes, their limits, and how an episode begins.
//!
//! Level 4 bears the name `GoToObjS6-v0`, under which minigrid registered rooms of size 4 until it withdrew the name.

use super::designs::Design;
use super::game::Game;
use super::language::{Form, Language, Verb};
use super::mission::{Act, Mission};
use super::rooms::{Rejected, Rooms};
use crate::engine::env::python::numpy_random::NumpyRandom;
use crate::engine::{Error, Result};

/// Levels that may be drawn and rejected in a row: where upstream would run for ever, this ends.
const MAX_REJECTIONS: usize = 1_000_000;

/// A level: its maze, its limit, and what to put into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// minigrid's id.
    pub id: &'static str,
    room_size: i32,
    columns: i32,
    rows: i32,
    /// Moves after which an episode is truncated; by default from the size of the maze and the mission's length.
    max_steps: Option<u32>,
    design: Design,
}

const fn level(id: &'static str, (room_size, columns, rows): (i32, i32, i32), design: Design) -> Level {
    Level { id, room_size, columns, rows, max_steps: None, design }
}

const fn limited(
    id: &'static str,
    (room_size, columns, rows): (i32, i32, i32),
    max_steps: u32,
    design: Design,
) -> Level {
    Level { id, room_size, columns, rows, max_steps: Some(max_steps), design }
}

const FULL: Language = Language::FULL;

/// In AgentGym's order; its levels count from 1.
#[rustfmt::skip]
pub const LEVELS: [Level; 40] = [
    level("BabyAI-GoToRedBallGrey-v0", (8, 1, 1), Design::GoToRedBall { distractors: 7, grey: true }),
    level("BabyAI-GoToRedBall-v0", (8, 1, 1), Design::GoToRedBall { distractors: 7, grey: false }),
    level("BabyAI-GoToRedBallNoDists-v0", (8, 1, 1), Design::GoToRedBall { distractors: 0, grey: false }),
    level("BabyAI-GoToObjS6-v0", (4, 1, 1), Design::GoToTheObject),
    level("BabyAI-GoToLocalS8N7-v0", (8, 1, 1), Design::GoToLocal { distractors: 7 }),
    level("BabyAI-GoToObjMazeS7-v0", (7, 3, 3), Design::GoTo { distractors: 1 }),
    level("BabyAI-GoToImpUnlock-v0", (8, 3, 3), Design::GoToImpUnlock),
    level("BabyAI-GoToSeqS5R2-v0", (5, 2, 2), Design::Language(Language {
        distractors: 4, locked_room_probability: 0.0, places: false, unblocking: false, verbs: &[Verb::GoTo], ..FULL
    })),
    level("BabyAI-GoToRedBlueBall-v0", (8, 1, 1), Design::GoToRedBlueBall { distractors: 7 }),
    level("BabyAI-GoToDoor-v0", (7, 3, 3), Design::GoToDoor),
    level("BabyAI-GoToObjDoor-v0", (8, 3, 3), Design::GoToObjDoor),
    level("BabyAI-Open-v0", (8, 3, 3), Design::Open),
    level("BabyAI-OpenRedDoor-v0", (5, 2, 1), Design::OpenRedDoor),
    level("BabyAI-OpenDoorLoc-v0", (8, 3, 3), Design::OpenDoorLoc),
    limited("BabyAI-OpenRedBlueDoorsDebug-v0", (6, 3, 3), 720, Design::OpenRedBlueDoors),
    limited("BabyAI-OpenDoorsOrderN4Debug-v0", (6, 3, 3), 720, Design::OpenDoorsOrder { doors: 4 }),
    level("BabyAI-Pickup-v0", (8, 3, 3), Design::Pickup),
    level("BabyAI-UnblockPickup-v0", (8, 3, 3), Design::UnblockPickup),
    level("BabyAI-PickupLoc-v0", (8, 1, 1), Design::Language(Language {
        distractors: 8, locked_room_probability: 0.0, unblocking: false, verbs: &[Verb::PickUp],
        forms: &[Form::Clause], ..FULL
    })),
    level("BabyAI-PickupDistDebug-v0", (7, 1, 1), Design::PickupDist),
    limited("BabyAI-PickupAbove-v0", (6, 3, 3), 288, Design::PickupAbove),
    level("BabyAI-PutNextLocalS6N4-v0", (6, 1, 1), Design::PutNextLocal { objects: 4 }),
    limited("BabyAI-PutNextS7N4Carrying-v0", (7, 2, 1), 392, Design::PutNextCarrying { objects: 4 }),
    level("BabyAI-Unlock-v0", (8, 3, 3), Design::Unlock),
    level("BabyAI-UnlockLocalDist-v0", (8, 3, 3), Design::UnlockLocal),
    level("BabyAI-KeyInBox-v0", (8, 3, 3), Design::KeyInBox),
    level("BabyAI-UnlockPickupDist-v0", (6, 2, 1), Design::UnlockPickup),
    limited("BabyAI-BlockedUnlockPickup-v0", (6, 2, 1), 576, Design::BlockedUnlockPickup),
    limited("BabyAI-UnlockToUnlock-v0", (6, 3, 1), 1080, Design::UnlockToUnlock),
    level("BabyAI-ActionObjDoor-v0", (7, 3, 3), Design::ActionObjDoor),
    limited("BabyAI-FindObjS7-v0", (7, 3, 3), 980, Design::FindObj),
    limited("BabyAI-KeyCorridorS6R3-v0", (6, 3, 3), 1080, Design::KeyCorridor),
    level("BabyAI-OneRoomS20-v0", (20, 1, 1), Design::OneRoom),
    limited("BabyAI-MoveTwoAcrossS8N9-v0", (8, 2, 1), 1024, Design::MoveTwoAcross { objects: 9 }),
    level("BabyAI-SynthS5R2-v0", (5, 3, 2), Design::Language(Language {
        places: false, implicit_unlock: false, forms: &[Form::Clause], ..FULL
    })),
    level("BabyAI-SynthLoc-v0", (8, 3, 3), Design::Language(Language {
        implicit_unlock: false, forms: &[Form::Clause], ..FULL
    })),
    level("BabyAI-SynthSeq-v0", (8, 3, 3), Design::Language(Language { implicit_unlock: false, ..FULL })),
    level("BabyAI-MiniBossLevel-v0", (5, 2, 2), Design::Language(Language {
        distractors: 7, locked_room_probability: 0.25, ..FULL
    })),
    level("BabyAI-BossLevel-v0", (8, 3, 3), Design::Language(FULL)),
    level("BabyAI-BossLevelNoUnlock-v0", (8, 3, 3), Design::Language(Language {
        locked_room_probability: 0.0, implicit_unlock: false, ..FULL
    })),
];

impl Game {
    /// The episode of AgentGym's task id: ids run through the 40 levels, then on to the next seed.
    pub fn new(task_id: u64) -> Result<Self> {
        let count = LEVELS.len() as u64;
        LEVELS[(task_id % count) as usize].begin(task_id / count)
    }
}

impl Level {
    /// The episode of a seed. A level that will not do is drawn again from the same stream.
    pub fn begin(&self, seed: u64) -> Result<Game> {
        let mut random = NumpyRandom::new(seed);
        for _ in 0..MAX_REJECTIONS {
            let mut rooms = Rooms::new(random, self.room_size, self.columns, self.rows);
            if let Ok(mission) = self.furnish(&mut rooms) {
                return Ok(self.game(rooms, mission));
            }
            random = rooms.random;
        }
        Err(Error::environment("babyai", format!("{} has no level for seed {seed}", self.id)))
    }

    fn game(&self, rooms: Rooms, mission: Mission) -> Game {
        let maze = (self.room_size * self.room_size * self.columns * self.rows) as u32;
        let max_steps = self.max_steps.unwrap_or(maze * mission.walks());
        let mut game = Game::begin(rooms.world, mission, max_steps);
        if matches!(self.design, Design::PutNextCarrying { .. }) {
            game.take_the_first_object();
        }
        game
    }

    /// Puts everything into the rooms and gives the mission, whose descriptions are fixed by then.
    fn furnish(&self, rooms: &mut Rooms) -> Result<Mission, Rejected> {
        let mut mission = self.design.draw(rooms)?;
        mission.find(&rooms.world);
        check_put_next(&mission)?;
        Ok(mission)
    }
}

/// What is to be moved must not be beside its goal already, nor be the goal.
fn check_put_next(mission: &Mission) -> Result<(), Rejected> {
    for clause in mission.clauses() {
        let Act::PutNext { object, beside } = &clause.act else { continue };
        let same = object.things.iter().any(|thing| beside.things.contains(thing));
        let near = object.positions.iter().any(|at| beside.positions.iter().any(|other| at.distance(*other) == 1));
        if same || near {
            return Err(Rejected);
        }
    }
    Ok(())
}
