//! The house of an episode: the same rooms and appliances every time; what lies where is drawn.
//!
//! A task id decides everything through its own random stream. Changing a table here or the order of draws changes
//! every task.

use rand_chacha::ChaCha8Rng;

use super::actions::THERMOMETER;
use super::matter::{MATERIALS, Material, ROOM, State};
use super::options::Topic;
use super::task::{Quarry, Task};
use super::world::{Appliance, Door, Hold, Id, Matter, Nature, Thing, World};
use crate::engine::random::{below, shuffle, stream};

const ROOMS: [&str; 7] = ["hallway", "kitchen", "bathroom", "bedroom", "workshop", "garden", "greenhouse"];

/// Pairs of [`ROOMS`].
const DOORS: [[usize; 2]; 6] = [[0, 1], [0, 2], [0, 3], [0, 4], [1, 5], [5, 6]];

/// What things stand on, and in which room.
const SURFACES: [(&str, usize); 7] = [
    ("side table", 0),
    ("counter", 1),
    ("shelf", 2),
    ("desk", 3),
    ("workbench", 4),
    ("garden bench", 5),
    ("potting table", 6),
];

/// Storage with a door, closed at first.
const STORES: [(&str, usize); 2] = [("cupboard", 1), ("wardrobe", 3)];

struct Machine {
    name: &'static str,
    room: usize,
    hold: Hold,
    celsius: f64,
    has_switch: bool,
}

const fn machine(name: &'static str, room: usize, hold: Hold, celsius: f64, has_switch: bool) -> Machine {
    Machine { name, room, hold, celsius, has_switch }
}

/// The stove may be out of order; the furnace and the cold chamber always work, so every task can be done.
const MACHINES: [Machine; 6] = [
    machine("stove", 1, Hold::On, 320.0, true),
    machine("oven", 1, Hold::In, 230.0, true),
    machine("fridge", 1, Hold::In, 4.0, false),
    machine("freezer", 1, Hold::In, -25.0, false),
    machine("furnace", 4, Hold::In, 1200.0, true),
    machine("cold chamber", 4, Hold::In, -140.0, true),
];

/// Where things are brought to.
const BOXES: [&str; 2] = ["red box", "blue box"];

const VESSELS: [&str; 4] = ["glass cup", "ceramic bowl", "metal pot", "glass jar"];
const PLANTS: [&str; 4] = ["fern", "young apple tree", "cactus", "pot of moss"];
const ANIMALS: [&str; 4] = ["snail", "beetle", "hamster", "tortoise"];
const TRINKETS: [&str; 4] = ["candlestick", "marble", "brass key", "picture frame"];

pub const FLASK: &str = "vacuum flask";

/// The world of a task, and the task.
pub fn build(task_id: u64, topic: Option<Topic>) -> (World, Task) {
    let mut builder = Builder::new(task_id);
    let drawn = Topic::ALL[builder.below(Topic::ALL.len())];
    let task = match topic.unwrap_or(drawn) {
        Topic::Change => builder.change(),
        Topic::Find => builder.find(),
        Topic::Measure => builder.measure(),
    };
    (builder.world, task)
}

struct Builder {
    rng: ChaCha8Rng,
    world: World,
    /// Where things may lie: on a surface, or in a store.
    places: Vec<Id>,
    boxes: [Id; 2],
}

impl Builder {
    /// The house with its furniture, without a task's things.
    fn new(task_id: u64) -> Self {
        let world = World { things: Vec::new(), doors: Vec::new(), agent: 0 };
        let mut builder =
            Builder { rng: stream(task_id, "sciworld-mini", 0), world, places: Vec::new(), boxes: [0; 2] };
        // Rooms come first, so that a room's number is its id.
        for name in ROOMS {
            builder.world.add(Thing::new(name, None));
        }
        for rooms in DOORS {
            let is_open = builder.below(2) == 0;
            builder.world.doors.push(Door { rooms, is_open });
        }
        for machine in &MACHINES {
            builder.add_machine(machine);
        }
        for (name, room) in SURFACES {
            let surface = Thing { hold: Some(Hold::On), ..Thing::new(name, Some(room)) };
            let surface = builder.world.add(surface);
            builder.places.push(surface);
        }
        for (name, room) in STORES {
            let store = Thing { hold: Some(Hold::In), lid: Some(false), ..Thing::new(name, Some(room)) };
            let store = builder.world.add(store);
            builder.places.push(store);
        }
        builder.boxes = BOXES.map(|name| {
            let room = builder.below(ROOMS.len());
            builder.world.add(Thing { hold: Some(Hold::In), ..Thing::new(name, Some(room)) })
        });
        builder.add_small(THERMOMETER, Nature::Lifeless);
        let start = builder.below(ROOMS.len());
        builder.world.agent = builder.world.add(Thing::new("you", Some(start)));
        builder
    }

    fn below(&mut self, n: usize) -> usize {
        below(&mut self.rng, n as u64) as usize
    }

    fn add_machine(&mut self, machine: &Machine) {
        let Machine { name, room, hold, celsius, has_switch } = *machine;
        let is_broken = name == "stove" && self.below(4) == 0;
        let appliance = Appliance { celsius, is_on: !has_switch, has_switch, is_broken };
        let lid = (hold == Hold::In).then_some(false);
        let thing = Thing { hold: Some(hold), lid, appliance: Some(appliance), ..Thing::new(name, Some(room)) };
        self.world.add(thing);
    }

    /// Something small at a drawn place.
    fn add_small(&mut self, name: &str, nature: Nature) -> Id {
        let drawn = self.below(self.places.len());
        let place = self.places[drawn];
        self.world.add(Thing { is_portable: true, nature, ..Thing::new(name, Some(place)) })
    }

    fn add_matter(&mut self, material: &'static Material, celsius: f64, holder: Id) -> Id {
        let matter = Some(Matter { material, celsius });
        self.world.add(Thing { is_portable: true, matter, ..Thing::new("", Some(holder)) })
    }

    /// The vessels with a substance in each, of which the first is the one given. Returns it.
    fn add_vessels(&mut self, subject: &'static Material, is_frozen: bool) -> Id {
        let mut vessels = VESSELS;
        shuffle(&mut self.rng, &mut vessels);
        let mut others: Vec<&Material> = MATERIALS.iter().filter(|material| *material != subject).collect();
        shuffle(&mut self.rng, &mut others);
        let materials = std::iter::once(subject).chain(others);
        let mut first = None;
        for (name, material) in vessels.into_iter().zip(materials) {
            let vessel = self.add_small(name, Nature::Lifeless);
            self.world.things[vessel].hold = Some(Hold::In);
            let frozen = is_frozen && first.is_none();
            if frozen {
                self.world.things[vessel].place = self.named("freezer");
            }
            let matter = self.add_matter(material, if frozen { -25.0 } else { ROOM }, vessel);
            first.get_or_insert(matter);
        }
        first.unwrap_or_default()
    }

    fn named(&self, name: &str) -> Option<Id> {
        self.world.things.iter().position(|thing| thing.name() == name)
    }

    /// Melt, boil or freeze something.
    fn change(&mut self) -> Task {
        let mut possible: Vec<(&'static Material, bool, State)> = Vec::new();
        for material in &MATERIALS {
            let here = material.state_at(ROOM);
            match here {
                State::Solid => possible.push((material, false, State::Liquid)),
                State::Liquid => possible.extend([(material, false, State::Gas), (material, false, State::Solid)]),
                State::Gas => {}
            }
            if here == State::Liquid && material.state_at(-25.0) == State::Solid {
                possible.push((material, true, State::Liquid));
            }
        }
        let (material, is_frozen, into) = possible[self.below(possible.len())];
        let subject = self.add_vessels(material, is_frozen);
        Task::Change { subject, into }
    }

    /// Find something of a kind and bring it to a box.
    fn find(&mut self) -> Task {
        for (names, nature) in [(PLANTS, Nature::Plant), (ANIMALS, Nature::Animal), (TRINKETS, Nature::Lifeless)] {
            let mut names = names;
            shuffle(&mut self.rng, &mut names);
            for name in &names[..2] {
                self.add_small(name, nature);
            }
        }
        let quarry = Quarry::ALL[self.below(Quarry::ALL.len())];
        let which = self.below(2);
        Task::Find { quarry, into: self.boxes[which] }
    }

    /// Measure what is in the flask, and sort it by its temperature.
    fn measure(&mut self) -> Task {
        let material = &MATERIALS[self.below(MATERIALS.len())];
        let flask = self.add_small(FLASK, Nature::Lifeless);
        let thing = &mut self.world.things[flask];
        (thing.hold, thing.lid, thing.is_insulated) = (Some(Hold::In), Some(false), true);
        let celsius = self.below(111) as f64 - 20.0;
        let subject = self.add_matter(material, celsius, flask);
        let threshold = self.below(71) as i64;
        Task::Measure { subject, threshold, boxes: self.boxes }
    }
}
