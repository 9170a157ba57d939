//! What stands in the rooms of a level, and its mission. One design may serve several levels.
//!
//! In `GoToImpUnlock` and `Unlock` the key can lie behind its own lock, since upstream's check for that compares NumPy
//! integers by identity and so never holds; such tasks cannot be solved, there or here.

use super::geometry::{Direction, Point};
use super::language::Language;
use super::mission::{Act, Descriptor, Joint, Mission, Place};
use super::rooms::{Rejected, RoomAt, Rooms};
use super::world::{Colour, Kind, Object, ObjectId};

/// The room in the middle of a 3×3 maze.
const MIDDLE: RoomAt = (1, 1);

#[derive(Debug, Clone, PartialEq)]
pub enum Design {
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
    /// Furnishes the rooms. The descriptions in the mission are looked up later.
    pub fn draw(&self, rooms: &mut Rooms) -> Result<Mission, Rejected> {
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

fn add_key(rooms: &mut Rooms, room: RoomAt, door: ObjectId) -> Result<ObjectId, Rejected> {
    let colour = rooms.world.object(door).colour;
    rooms.add_object(room, Some(Kind::Key), Some(colour))
}

/// A locked room and its key, which may lie in any room (see the head of this file).
fn locked_room_and_key(rooms: &mut Rooms) -> Result<(RoomAt, ObjectId), Rejected> {
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
