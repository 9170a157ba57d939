//! The 40 levels of AgentGym's BabyAI, in its order: their rooms, what stands in them, and their missions.
//!
//! Level 4 bears the name `GoToObjS6-v0`, under which minigrid registered rooms of size 4 until it withdrew the name.
//! On some levels (7, 24) the key can lie behind its own lock, since upstream's check for that compares NumPy
//! integers by identity and so never holds; such tasks cannot be solved, there or here.

use super::game::Game;
use super::language::{Form, Language, Verb};
use super::mission::{Act, Descriptor, Joint, Mission, Place};
use super::rooms::{Rejected, Rooms};
use super::world::{Cell, Colour, Direction, Kind, Object, ObjectId, Point};
use crate::engine::env::numpy_random::NumpyRandom;
use crate::engine::{Error, Result};

/// Levels that may be drawn and rejected in a row. Thousands were never seen.
const MAX_REJECTIONS: usize = 1_000_000;

/// The room in the middle of a 3×3 maze.
const MIDDLE: (i32, i32) = (1, 1);

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

#[derive(Debug, Clone, PartialEq)]
enum Design {
    GoToRedBall { distractors: usize, grey: bool },
    GoToTheObject,
    GoToLocal { distractors: usize },
    GoTo { distractors: usize },
    GoToImpUnlock,
    GoToRedBlueBall { distractors: usize },
    GoToDoor,
    GoToObjDoor,
    Open,
    OpenRedDoor,
    OpenDoorLoc,
    OpenRedBlueDoors,
    OpenDoorsOrder { doors: usize },
    Pickup,
    UnblockPickup,
    PickupDist,
    PickupAbove,
    PutNextLocal { objects: usize },
    PutNextCarrying { objects: usize },
    Unlock,
    UnlockLocal,
    KeyInBox,
    UnlockPickup,
    BlockedUnlockPickup,
    UnlockToUnlock,
    ActionObjDoor,
    FindObj,
    KeyCorridor,
    OneRoom,
    MoveTwoAcross { objects: usize },
    Language(Language),
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
            game.begin_carrying();
        }
        game
    }

    /// Puts everything into the rooms and gives the mission, whose descriptions are fixed by then.
    fn furnish(&self, rooms: &mut Rooms) -> Result<Mission, Rejected> {
        let mut mission = self.design.draw(rooms)?;
        mission.find(&rooms.world);
        check_put_next(rooms, &mission)?;
        Ok(mission)
    }
}

/// What is to be moved must not be beside its goal already, nor be the goal.
fn check_put_next(rooms: &Rooms, mission: &Mission) -> Result<(), Rejected> {
    for clause in mission.clauses() {
        let Act::PutNext { object, beside } = &clause.act else { continue };
        let same = object.things.iter().any(|thing| beside.things.contains(thing));
        let near = |at: Point| beside.positions.iter().any(|other| at.distance(*other) == 1);
        if same || object.positions.iter().any(|&at| near(at)) {
            return Err(Rejected);
        }
    }
    debug_assert!(mission.descriptors().iter().all(|it| !it.things.is_empty()), "{}", rooms.world.room_size);
    Ok(())
}

/// A description by kind and colour.
fn described(rooms: &Rooms, id: ObjectId) -> Descriptor {
    let object = rooms.world.object(id);
    Descriptor::of(object.kind, object.colour)
}

/// A description by kind alone.
fn kind_of(rooms: &Rooms, id: ObjectId) -> Descriptor {
    Descriptor::new(Some(rooms.world.object(id).kind), None, None)
}

fn go_to(target: Descriptor) -> Mission {
    Act::GoTo(target).into()
}

fn open(door: Descriptor, strict: bool) -> Mission {
    Act::Open { door, strict }.into()
}

fn pick_up(object: Descriptor) -> Mission {
    Act::PickUp { object, strict: false }.into()
}

fn put_next(rooms: &Rooms, object: ObjectId, beside: ObjectId) -> Mission {
    Act::PutNext { object: described(rooms, object), beside: described(rooms, beside) }.into()
}

impl Design {
    fn draw(&self, rooms: &mut Rooms) -> Result<Mission, Rejected> {
        match *self {
            Design::GoToRedBall { distractors, grey } => go_to_red_ball(rooms, distractors, grey),
            Design::GoToTheObject => {
                rooms.place_agent(None)?;
                let objects = rooms.add_distractors(None, 1, true)?;
                Ok(go_to(described(rooms, objects[0])))
            }
            Design::GoToLocal { distractors } => {
                rooms.place_agent(None)?;
                let object = one_of_reachable(rooms, distractors)?;
                Ok(go_to(described(rooms, object)))
            }
            Design::GoTo { distractors } => {
                let object = one_in_maze(rooms, distractors)?;
                Ok(go_to(described(rooms, object)))
            }
            Design::GoToImpUnlock => go_to_imp_unlock(rooms),
            Design::GoToRedBlueBall { distractors } => go_to_red_blue_ball(rooms, distractors),
            Design::GoToDoor => {
                let doors = four_doors(rooms, None)?;
                rooms.place_agent(Some(MIDDLE))?;
                let door = rooms.random.choice(&doors);
                Ok(go_to(described(rooms, door)))
            }
            Design::GoToObjDoor => {
                rooms.place_agent(Some(MIDDLE))?;
                let mut objects = rooms.add_distractors(Some(MIDDLE), 8, false)?;
                objects.extend(four_doors(rooms, None)?);
                rooms.require_reachable()?;
                let object = rooms.random.choice(&objects);
                Ok(go_to(described(rooms, object)))
            }
            Design::Open => open_any(rooms),
            Design::OpenRedDoor => {
                rooms.add_door((0, 0), Some(Direction::Right), Some(Colour::Red), Some(false))?;
                rooms.place_agent(Some((0, 0)))?;
                Ok(open(Descriptor::of(Kind::Door, Colour::Red), false))
            }
            Design::OpenDoorLoc => open_door_loc(rooms),
            Design::OpenRedBlueDoors => open_red_blue_doors(rooms),
            Design::OpenDoorsOrder { doors } => open_doors_order(rooms, doors),
            Design::Pickup => {
                let object = one_in_maze(rooms, 18)?;
                Ok(pick_up(described(rooms, object)))
            }
            Design::UnblockPickup => unblock_pickup(rooms),
            Design::PickupDist => pickup_dist(rooms),
            Design::PickupAbove => {
                let object = rooms.add_object((1, 0), None, None)?;
                rooms.add_door(MIDDLE, Some(Direction::Up), None, Some(false))?;
                rooms.place_agent(Some(MIDDLE))?;
                rooms.connect_all(&Colour::BY_NAME)?;
                Ok(pick_up(described(rooms, object)))
            }
            Design::PutNextLocal { objects } => {
                rooms.place_agent(None)?;
                let all = rooms.add_distractors(None, objects, true)?;
                rooms.require_reachable()?;
                let two = rooms.subset(&all, 2);
                Ok(put_next(rooms, two[0], two[1]))
            }
            Design::PutNextCarrying { objects } => put_next_across(rooms, objects),
            Design::Unlock => unlock(rooms),
            Design::UnlockLocal => {
                let door = rooms.add_door(MIDDLE, None, None, Some(true))?;
                add_key(rooms, MIDDLE, door)?;
                rooms.add_distractors(Some(MIDDLE), 3, true)?;
                rooms.place_agent(Some(MIDDLE))?;
                Ok(open(kind_of(rooms, door), false))
            }
            Design::KeyInBox => key_in_box(rooms),
            Design::UnlockPickup => {
                let object = rooms.add_object((1, 0), Some(Kind::Box), None)?;
                let door = rooms.add_door((0, 0), Some(Direction::Right), None, Some(true))?;
                add_key(rooms, (0, 0), door)?;
                rooms.add_distractors(None, 4, true)?;
                rooms.place_agent(Some((0, 0)))?;
                Ok(pick_up(described(rooms, object)))
            }
            Design::BlockedUnlockPickup => blocked_unlock_pickup(rooms),
            Design::UnlockToUnlock => unlock_to_unlock(rooms),
            Design::ActionObjDoor => action_obj_door(rooms),
            Design::FindObj => {
                let room = rooms.random_room();
                let object = rooms.add_object(room, None, None)?;
                rooms.place_agent(Some(MIDDLE))?;
                rooms.connect_all(&Colour::BY_NAME)?;
                Ok(pick_up(kind_of(rooms, object)))
            }
            Design::KeyCorridor => key_corridor(rooms),
            Design::OneRoom => {
                let ball = rooms.add_object((0, 0), Some(Kind::Ball), None)?;
                rooms.place_agent(None)?;
                Ok(pick_up(kind_of(rooms, ball)))
            }
            Design::MoveTwoAcross { objects } => move_two_across(rooms, objects),
            Design::Language(language) => language.draw(rooms),
        }
    }
}

fn go_to_red_ball(rooms: &mut Rooms, distractors: usize, grey: bool) -> Result<Mission, Rejected> {
    rooms.place_agent(None)?;
    rooms.add_object((0, 0), Some(Kind::Ball), Some(Colour::Red))?;
    let others = rooms.add_distractors(None, distractors, false)?;
    for id in others.into_iter().filter(|_| grey) {
        rooms.world.object_mut(id).colour = Colour::Grey;
    }
    rooms.require_reachable()?;
    Ok(go_to(Descriptor::of(Kind::Ball, Colour::Red)))
}

/// One of some random objects, all within reach of the agent, which is in its place already.
fn one_of_reachable(rooms: &mut Rooms, distractors: usize) -> Result<ObjectId, Rejected> {
    let objects = rooms.add_distractors(None, distractors, false)?;
    rooms.require_reachable()?;
    Ok(rooms.random.choice(&objects))
}

fn one_in_maze(rooms: &mut Rooms, distractors: usize) -> Result<ObjectId, Rejected> {
    rooms.place_agent(None)?;
    rooms.connect_all(&Colour::BY_NAME)?;
    one_of_reachable(rooms, distractors)
}

/// Doors on all sides of the middle room.
fn four_doors(rooms: &mut Rooms, locked: Option<bool>) -> Result<Vec<ObjectId>, Rejected> {
    (0..4).map(|_| rooms.add_door(MIDDLE, None, None, locked)).collect()
}

fn add_key(rooms: &mut Rooms, room: (i32, i32), door: ObjectId) -> Result<ObjectId, Rejected> {
    let colour = rooms.world.object(door).colour;
    rooms.add_object(room, Some(Kind::Key), Some(colour))
}

/// A locked room and its key, which may lie in any room (see the head of this file).
fn locked_room_and_key(rooms: &mut Rooms) -> Result<((i32, i32), ObjectId), Rejected> {
    let room = rooms.random_room();
    let door = rooms.add_door(room, None, None, Some(true))?;
    let key_room = rooms.random_room();
    add_key(rooms, key_room, door)?;
    Ok((room, door))
}

fn distractors_everywhere(rooms: &mut Rooms, count: usize) -> Result<(), Rejected> {
    for room in rooms.by_columns() {
        rooms.add_distractors(Some(room), count, false)?;
    }
    Ok(())
}

fn go_to_imp_unlock(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let (locked, _) = locked_room_and_key(rooms)?;
    rooms.connect_all(&Colour::BY_NAME)?;
    distractors_everywhere(rooms, 2)?;
    rooms.place_agent_outside(Some(locked))?;
    rooms.require_reachable()?;
    let objects = rooms.add_distractors(Some(locked), 1, false)?;
    Ok(go_to(described(rooms, objects[0])))
}

fn go_to_red_blue_ball(rooms: &mut Rooms, distractors: usize) -> Result<Mission, Rejected> {
    rooms.place_agent(None)?;
    let others = rooms.add_distractors(None, distractors, false)?;
    let rival = |&id: &ObjectId| {
        let object = rooms.world.object(id);
        object.kind == Kind::Ball && matches!(object.colour, Colour::Red | Colour::Blue)
    };
    if others.iter().any(rival) {
        return Err(Rejected);
    }
    let colour = rooms.random.choice(&[Colour::Red, Colour::Blue]);
    let ball = rooms.add_object((0, 0), Some(Kind::Ball), Some(colour))?;
    rooms.require_reachable()?;
    Ok(go_to(described(rooms, ball)))
}

/// Any door of the maze; one between two rooms is in the hat twice.
fn open_any(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    rooms.place_agent(None)?;
    rooms.connect_all(&Colour::BY_NAME)?;
    rooms.add_distractors(None, 18, false)?;
    rooms.require_reachable()?;
    let doors: Vec<ObjectId> = rooms.by_columns().flat_map(|room| rooms.doors(room)).collect();
    let door = rooms.random.choice(&doors);
    Ok(open(described(rooms, door), false))
}

fn open_door_loc(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let colours = rooms.subset(&Colour::BY_NAME, 4);
    for (side, colour) in Direction::ALL.into_iter().zip(colours) {
        rooms.add_door(MIDDLE, Some(side), Some(colour), Some(false))?;
    }
    let place = rooms.random.choice(&Place::ALL);
    rooms.place_agent(Some(MIDDLE))?;
    Ok(open(Descriptor::new(Some(Kind::Door), None, Some(place)), false))
}

fn open_red_blue_doors(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    // Upstream draws two colours before it finds that both are given.
    rooms.subset(&Colour::BY_NAME, 2);
    let red = rooms.add_door(MIDDLE, Some(Direction::Left), Some(Colour::Red), Some(false))?;
    let blue = rooms.add_door(MIDDLE, Some(Direction::Right), Some(Colour::Blue), Some(false))?;
    rooms.place_agent(Some(MIDDLE))?;
    let (first, second) = (open(described(rooms, red), true), open(described(rooms, blue), false));
    Ok(Mission::join(Joint::Then, first, second))
}

/// With two strict clauses the toggle that opens the first door also fails the second clause: such tasks cannot be
/// solved.
fn open_doors_order(rooms: &mut Rooms, doors: usize) -> Result<Mission, Rejected> {
    let colours = rooms.subset(&Colour::BY_NAME, doors);
    let mut all = Vec::with_capacity(doors);
    for colour in colours {
        all.push(rooms.add_door(MIDDLE, None, Some(colour), Some(false))?);
    }
    rooms.place_agent(Some(MIDDLE))?;
    let two = rooms.subset(&all, 2);
    let [first, second] = [two[0], two[1]].map(|door| open(described(rooms, door), true));
    Ok(match rooms.random.integers(0, 3) {
        0 => first,
        1 => Mission::join(Joint::Then, first, second),
        _ => Mission::join(Joint::After, first, second),
    })
}

/// Something must be out of reach, though not always what is asked for.
fn unblock_pickup(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    rooms.place_agent(None)?;
    rooms.connect_all(&Colour::BY_NAME)?;
    let objects = rooms.add_distractors(None, 20, false)?;
    if rooms.all_reachable() {
        return Err(Rejected);
    }
    let object = rooms.random.choice(&objects);
    Ok(pick_up(described(rooms, object)))
}

fn pickup_dist(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let objects = rooms.add_distractors(None, 5, true)?;
    rooms.place_agent(Some((0, 0)))?;
    let chosen = rooms.random.choice(&objects);
    let mut object = described(rooms, chosen);
    match rooms.random.integers(0, 3) {
        0 => object.colour = None,
        1 => object.kind = None,
        _ => {}
    }
    Ok(Act::PickUp { object, strict: true }.into())
}

/// Two rooms that have become one, with different objects on either side.
fn two_halves(rooms: &mut Rooms, objects: usize) -> Result<[Vec<ObjectId>; 2], Rejected> {
    rooms.place_agent(Some((0, 0)))?;
    let left = rooms.add_distractors(Some((0, 0)), objects, true)?;
    let right = rooms.add_distractors(Some((1, 0)), objects, true)?;
    rooms.remove_wall((0, 0), Direction::Right);
    Ok([left, right])
}

fn put_next_across(rooms: &mut Rooms, objects: usize) -> Result<Mission, Rejected> {
    let [left, right] = two_halves(rooms, objects)?;
    let (a, b) = (rooms.random.choice(&left), rooms.random.choice(&right));
    Ok(if rooms.coin() { put_next(rooms, b, a) } else { put_next(rooms, a, b) })
}

fn move_two_across(rooms: &mut Rooms, objects: usize) -> Result<Mission, Rejected> {
    let [left, right] = two_halves(rooms, objects)?;
    let left = rooms.subset(&left, 2);
    let right = rooms.subset(&right, 2);
    let (first, second) = (put_next(rooms, left[0], right[0]), put_next(rooms, right[1], left[1]));
    Ok(Mission::join(Joint::Then, first, second))
}

fn unlock(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let (locked, door) = locked_room_and_key(rooms)?;
    let colour = rooms.world.object(door).colour;
    let others: Vec<Colour> = Colour::BY_NAME.into_iter().filter(|&other| other != colour).collect();
    match rooms.coin() {
        true => rooms.connect_all(&others)?,
        false => rooms.connect_all(&Colour::BY_NAME)?,
    }
    distractors_everywhere(rooms, 3)?;
    rooms.place_agent_outside(Some(locked))?;
    rooms.require_reachable()?;
    Ok(open(described(rooms, door), false))
}

fn key_in_box(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let door = rooms.add_door(MIDDLE, None, None, Some(true))?;
    let key = rooms.world.add(Object::new(Kind::Key, rooms.world.object(door).colour));
    let colour = rooms.random_colour();
    rooms.place(MIDDLE, Object { contents: Some(key), ..Object::new(Kind::Box, colour) })?;
    rooms.place_agent(Some(MIDDLE))?;
    Ok(open(kind_of(rooms, door), false))
}

fn blocked_unlock_pickup(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let object = rooms.add_object((1, 0), Some(Kind::Box), None)?;
    let door = rooms.add_door((0, 0), Some(Direction::Right), None, Some(true))?;
    let colour = rooms.random_colour();
    if let Some(at) = rooms.world.object(door).position {
        let ball = rooms.world.add(Object::new(Kind::Ball, colour));
        rooms.world.put(ball, at - Point::new(1, 0));
    }
    add_key(rooms, (0, 0), door)?;
    rooms.place_agent(Some((0, 0)))?;
    Ok(pick_up(kind_of(rooms, object)))
}

fn unlock_to_unlock(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let colours = rooms.subset(&Colour::BY_NAME, 2);
    let (outer, inner) = (colours[0], colours[1]);
    rooms.add_door((0, 0), Some(Direction::Right), Some(outer), Some(true))?;
    rooms.add_object((2, 0), Some(Kind::Key), Some(outer))?;
    rooms.add_door((1, 0), Some(Direction::Right), Some(inner), Some(true))?;
    rooms.add_object((1, 0), Some(Kind::Key), Some(inner))?;
    let ball = rooms.add_object((0, 0), Some(Kind::Ball), None)?;
    rooms.place_agent(Some((1, 0)))?;
    Ok(pick_up(kind_of(rooms, ball)))
}

fn action_obj_door(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let mut objects = rooms.add_distractors(Some(MIDDLE), 5, true)?;
    objects.extend(four_doors(rooms, Some(false))?);
    rooms.place_agent(Some(MIDDLE))?;
    let object = rooms.random.choice(&objects);
    let target = described(rooms, object);
    let is_door = target.kind == Some(Kind::Door);
    Ok(match rooms.coin() {
        true => go_to(target),
        false if is_door => open(target, false),
        false => pick_up(target),
    })
}

/// A corridor in the middle column, and a ball behind a locked door at its right.
fn key_corridor(rooms: &mut Rooms) -> Result<Mission, Rejected> {
    let count = rooms.rows;
    for row in 1..count {
        rooms.remove_wall((1, row), Direction::Up);
    }
    let row = rooms.random.integers(0, count);
    let door = rooms.add_door((2, row), Some(Direction::Left), None, Some(true))?;
    let ball = rooms.add_object((2, row), Some(Kind::Ball), None)?;
    let key_row = rooms.random.integers(0, count);
    add_key(rooms, (0, key_row), door)?;
    rooms.place_agent(Some((1, count / 2)))?;
    rooms.connect_all(&Colour::BY_NAME)?;
    Ok(pick_up(kind_of(rooms, ball)))
}

/// The object that level 23 begins with in its hands.
impl Game {
    fn begin_carrying(&mut self) {
        let object = self.mission.descriptors().first().and_then(|it| it.things.first().copied());
        if let Some(Cell::Object(id)) = object
            && let Some(at) = self.world.object(id).position
        {
            self.world.set(at, Cell::Empty);
            self.world.carrying = Some(id);
        }
    }
}
