//! Games of our own: a room, things in it, a task of ALFWorld's six types, written as a PDDL problem like those of real
//! games. They serve where ALFWorld's data is not at hand.
//!
//! The constraints are the original's: the rooms that a task's type occurs in, receptacles that take the object, an
//! appliance for what is to be cleaned, heated or cooled, and no object of the wanted class where it is to go. So every
//! game can be won by construction; `tests/alfworld` has the expert win thousands.
//!
//! A task id decides everything through its own random stream. Changing a table in [`classes`] or the order of draws
//! changes every task.

mod classes;
mod pddl;

use rand_chacha::ChaCha8Rng;

use super::dialect::{Dialect, Wording};
use super::household::Household;
use super::name::NAME;
use super::problem::Problem;
use super::task::TaskType;
use crate::engine::{Error, Result, random};
use classes::{
    BATHROOM, BEDROOM, CONTAINERS, FURNISHINGS, KITCHEN, LAMP_PLACES, LAMPS, LIVING_ROOM, OBJECTS, OPENABLE,
};
use classes::{ObjectClass, Room};

/// A game as a PDDL problem and its task in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    pub task_type: TaskType,
    /// `put a clean mug in shelf`
    pub task: String,
    pub problem: String,
}

pub fn generate(task_id: u64) -> Result<Generated> {
    let mut rng = random::stream(task_id, "alfworld", 0);
    // Some rooms have nothing to do of the kind that was drawn; the next attempt goes on with the same stream.
    let game = (0..MAX_ATTEMPTS).find_map(|_| {
        let task_type = pick(&mut rng, &TaskType::ALL);
        let room = pick(&mut rng, rooms_for(task_type));
        Builder::new(&mut rng, room).build(task_type)
    });
    game.ok_or_else(|| Error::environment(NAME, format!("task {task_id}: no room came out")))
}

/// Nearly every attempt succeeds.
const MAX_ATTEMPTS: usize = 1000;

impl Generated {
    pub(super) fn household(&self, wording: Wording) -> Result<Household> {
        let sentence = format!("Your task is to: {}.", self.task);
        Problem::read(&self.problem)
            .and_then(|problem| Household::new(&problem, Dialect::of(wording), sentence))
            .map_err(|problem| Error::environment(NAME, problem))
    }
}

fn rooms_for(task_type: TaskType) -> &'static [&'static Room] {
    match task_type {
        TaskType::LookInLight => &[&LIVING_ROOM, &BEDROOM],
        TaskType::Clean => &[&KITCHEN, &BATHROOM],
        TaskType::Heat | TaskType::Cool => &[&KITCHEN],
        _ => &[&KITCHEN, &LIVING_ROOM, &BEDROOM, &BATHROOM],
    }
}

/// What is asked for, by class.
#[derive(Debug, Clone, Copy)]
struct Aim {
    object: &'static ObjectClass,
    /// Where it is to go, or the lamp.
    target: &'static str,
}

/// A receptacle or an object.
#[derive(Debug)]
struct Thing {
    class: &'static str,
    id: String,
}

/// A room in the making. Receptacles and objects are referred to by their place in these lists.
struct Builder<'a> {
    rng: &'a mut ChaCha8Rng,
    room: &'static Room,
    locations: Vec<String>,
    receptacles: Vec<Thing>,
    /// By receptacle: its location.
    stands_at: Vec<usize>,
    objects: Vec<Thing>,
    /// An object, the receptacle that it is in.
    inside: Vec<(usize, usize)>,
    /// An object, the location at which it lies on the floor.
    on_the_floor: Vec<(usize, usize)>,
    /// An object, the object that holds it.
    nested: Vec<(usize, usize)>,
}

impl<'a> Builder<'a> {
    fn new(rng: &'a mut ChaCha8Rng, room: &'static Room) -> Self {
        Builder {
            rng,
            room,
            locations: Vec::new(),
            receptacles: Vec::new(),
            stands_at: Vec::new(),
            objects: Vec::new(),
            inside: Vec::new(),
            on_the_floor: Vec::new(),
            nested: Vec::new(),
        }
    }

    /// `None` when this room has no task of the type.
    fn build(mut self, task_type: TaskType) -> Option<Generated> {
        self.add_receptacles();
        let aim = self.aim(task_type)?;
        self.add_wanted(task_type, aim);
        self.add_lamps(task_type, aim);
        self.add_clutter(aim);
        self.fill_containers(aim);
        self.add_floor(aim);
        let start = self.new_location();
        let template = pick(self.rng, &templates(task_type));
        let task = template
            .replace("{object}", &aim.object.name.to_lowercase())
            .replace("{target}", &aim.target.to_lowercase());
        Some(Generated { task_type, task, problem: pddl::problem(&self, task_type, aim, start) })
    }

    /// Neighbours of a class often share a location, as in ALFRED's rooms.
    fn add_receptacles(&mut self) {
        for &(class, fewest, most) in self.room.receptacles {
            let count = fewest + random::below(self.rng, most - fewest + 1);
            for number in 0..count {
                let shares = number > 0 && random::below(self.rng, 4) == 0;
                let location = if shares { self.locations.len() - 1 } else { self.new_location() };
                let id = self.new_id(class);
                self.receptacles.push(Thing { class, id });
                self.stands_at.push(location);
            }
        }
    }

    /// What the task is about: a class of object that this room can have, and where it goes. There must be another place
    /// for it to be at first.
    fn aim(&mut self, task_type: TaskType) -> Option<Aim> {
        let suits = |class: &ObjectClass| match task_type {
            TaskType::Clean => class.is_cleanable(),
            TaskType::Heat => class.is_heatable(),
            TaskType::Cool => class.is_coolable(),
            _ => true,
        };
        // Bringing something back into the appliance that treats it would be no second errand.
        let appliance = match task_type {
            TaskType::Clean => "SinkBasin",
            TaskType::Heat => "Microwave",
            TaskType::Cool => "Fridge",
            _ => "",
        };
        let mut aims = Vec::new();
        for object in OBJECTS.iter().filter(|class| class.is_in(self.room) && suits(class)) {
            let mut targets: Vec<&'static str> = match task_type {
                TaskType::LookInLight => LAMPS.to_vec(),
                _ => self.receptacles.iter().map(|thing| thing.class).filter(|class| object.fits(class)).collect(),
            };
            targets.dedup();
            targets.retain(|target| *target != appliance && !self.places(object, target).is_empty());
            aims.extend(targets.into_iter().map(|target| Aim { object, target }));
        }
        (!aims.is_empty()).then(|| pick(self.rng, &aims))
    }

    /// The receptacles that take an object, those of one class left out.
    fn places(&self, object: &ObjectClass, not: &str) -> Vec<usize> {
        let all = self.receptacles.iter().enumerate();
        all.filter(|(_, thing)| thing.class != not && object.fits(thing.class)).map(|(place, _)| place).collect()
    }

    fn add_wanted(&mut self, task_type: TaskType, aim: Aim) {
        let fewest = if task_type == TaskType::PickTwo { 2 } else { 1 };
        for _ in 0..fewest + random::below(self.rng, 3) {
            self.add_object(aim.object, aim.target);
        }
    }

    /// Puts an object of a class into one of the places that take it; does nothing where there is none.
    fn add_object(&mut self, class: &'static ObjectClass, not_in: &str) {
        let places = self.places(class, not_in);
        if !places.is_empty() {
            let place = pick(self.rng, &places);
            let object = self.new_object(class.name);
            self.inside.push((object, place));
        }
    }

    /// Lamps where there is a task for one, and here and there without.
    fn add_lamps(&mut self, task_type: TaskType, aim: Aim) {
        let stands = |thing: &Thing| LAMP_PLACES.contains(&thing.class);
        let places: Vec<usize> = (0..self.receptacles.len()).filter(|&r| stands(&self.receptacles[r])).collect();
        let lit = std::ptr::eq(self.room, &LIVING_ROOM) || std::ptr::eq(self.room, &BEDROOM);
        for lamp in LAMPS {
            let wanted = task_type == TaskType::LookInLight && aim.target == lamp;
            if !places.is_empty() && (wanted || (lit && random::below(self.rng, 3) == 0)) {
                let place = pick(self.rng, &places);
                let object = self.new_object(lamp);
                self.inside.push((object, place));
            }
        }
    }

    fn add_clutter(&mut self, aim: Aim) {
        let mut classes: Vec<&'static ObjectClass> =
            OBJECTS.iter().filter(|class| class.is_in(self.room) && class.name != aim.object.name).collect();
        random::shuffle(self.rng, &mut classes);
        let kinds = 6 + random::below(self.rng, 9) as usize;
        for class in classes.into_iter().take(kinds) {
            for _ in 0..1 + random::below(self.rng, 3) {
                self.add_object(class, "");
            }
        }
    }

    /// A third of the bowls, boxes and plates hold something. What is in a bowl is in the bowl's receptacle as well.
    fn fill_containers(&mut self, aim: Aim) {
        for (container, place) in self.inside.clone() {
            let holds = CONTAINERS.iter().find(|(class, _)| *class == self.objects[container].class);
            let Some((_, contents)) = holds else { continue };
            let suits = |name: &&&str| {
                let class = ObjectClass::named(name);
                **name != aim.object.name && class.is_some_and(|class| class.is_in(self.room))
            };
            let contents: Vec<&'static str> = contents.iter().filter(suits).copied().collect();
            if contents.is_empty() || random::below(self.rng, 3) > 0 {
                continue;
            }
            for _ in 0..1 + random::below(self.rng, 2) {
                let class = pick(self.rng, &contents);
                let object = self.new_object(class);
                self.inside.push((object, place));
                self.nested.push((object, container));
            }
        }
    }

    /// Furnishings, and now and then something that fell down: it can be cut where it lies, not picked up.
    fn add_floor(&mut self, aim: Aim) {
        for _ in 0..random::below(self.rng, 3) {
            let class = pick(self.rng, &FURNISHINGS);
            self.drop_somewhere(class);
        }
        let food: Vec<&'static str> = OBJECTS
            .iter()
            .filter(|class| class.is_in(self.room) && class.is_sliceable() && class.name != aim.object.name)
            .map(|class| class.name)
            .collect();
        if !food.is_empty() && random::below(self.rng, 4) == 0 {
            let class = pick(self.rng, &food);
            self.drop_somewhere(class);
        }
    }

    fn drop_somewhere(&mut self, class: &'static str) {
        let location = pick(self.rng, &self.stands_at);
        let object = self.new_object(class);
        self.on_the_floor.push((object, location));
    }

    fn new_object(&mut self, class: &'static str) -> usize {
        let id = self.new_id(class);
        self.objects.push(Thing { class, id });
        self.objects.len() - 1
    }

    fn new_location(&mut self) -> usize {
        let id = loop {
            let (x, y) = (self.coordinate(20), self.coordinate(20));
            let (turn, tilt) = (random::below(self.rng, 4), 15 * random::below(self.rng, 5));
            let id = pddl::location_id(x, y, turn, tilt);
            if !self.locations.contains(&id) {
                break id;
            }
        };
        self.locations.push(id);
        self.locations.len() - 1
    }

    /// A class and a place in centimetres, as ALFRED names things.
    fn new_id(&mut self, class: &str) -> String {
        loop {
            let place = [self.coordinate(500), random::below(self.rng, 200) as i64, self.coordinate(500)];
            let id = pddl::thing_id(class, place);
            if self.receptacles.iter().chain(&self.objects).all(|thing| thing.id != id) {
                return id;
            }
        }
    }

    /// An integer from −`most` to `most`.
    fn coordinate(&mut self, most: i64) -> i64 {
        random::below(self.rng, 2 * most as u64 + 1) as i64 - most
    }
}

/// The two ways in which the original words each task.
fn templates(task_type: TaskType) -> [&'static str; 2] {
    match task_type {
        TaskType::LookInLight => ["look at {object} under the {target}", "examine the {object} with the {target}"],
        TaskType::Clean => ["put a clean {object} in {target}", "clean some {object} and put it in {target}"],
        TaskType::Heat => ["put a hot {object} in {target}", "heat some {object} and put it in {target}"],
        TaskType::Cool => ["put a cool {object} in {target}", "cool some {object} and put it in {target}"],
        TaskType::PickTwo => ["put two {object} in {target}", "find two {object} and put them in {target}"],
        _ => ["put a {object} in {target}", "put some {object} on {target}"],
    }
}

/// One of several, each as likely as the others; there is at least one.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, items: &[T]) -> T {
    items[random::below(rng, items.len() as u64) as usize]
}
