//! What there is in our rooms: classes of objects with the rooms where they occur, what can be done with them, and the
//! receptacles that take them. Which receptacle takes what, and what can be cleaned, heated, cooled or sliced, is as in
//! ALFRED, whose tasks these are; which rooms have what is our choice.

#[derive(Debug)]
pub struct ObjectClass {
    pub name: &'static str,
    /// One letter per room: kitchen, living room, bedroom, bathroom (`t`).
    rooms: &'static str,
    /// One letter each: clean, heat, `f`ridge, slice.
    treatments: &'static str,
    /// Classes of receptacles and [`GROUPS`] of them, separated by blanks.
    places: &'static str,
}

/// Receptacles that take the same objects.
const GROUPS: [(&str, &[&str]); 2] = [
    ("Surface", &["CounterTop", "DiningTable", "CoffeeTable", "SideTable"]),
    ("Seat", &["Sofa", "ArmChair", "Ottoman"]),
];

const fn class(name: &'static str, rooms: &'static str, treatments: &'static str, places: &'static str) -> ObjectClass {
    ObjectClass { name, rooms, treatments, places }
}

pub const OBJECTS: [ObjectClass; 54] = [
    class("AlarmClock", "b", "", "Surface Desk Dresser Shelf"),
    class("Apple", "k", "chfs", "Surface Fridge GarbageCan Microwave SinkBasin"),
    class("BaseballBat", "b", "", "Surface Bed"),
    class("BasketBall", "b", "", "Surface Seat Desk Dresser Bed"),
    class("Book", "lb", "", "Surface Seat Desk Dresser Bed Cabinet Drawer Shelf"),
    class("Bowl", "kl", "cf", "Surface Desk Dresser Cabinet Fridge Microwave Shelf SinkBasin"),
    class("Box", "lb", "", "Surface Seat Desk Dresser Cabinet Shelf"),
    class("Bread", "k", "hfs", "Surface Fridge GarbageCan Microwave"),
    class("ButterKnife", "k", "c", "Surface Drawer SinkBasin"),
    class("CD", "b", "", "Surface Desk Dresser Cabinet Drawer GarbageCan Safe Shelf"),
    class("Candle", "lt", "", "Surface Desk Dresser Cabinet Cart Drawer Shelf Toilet"),
    class("CellPhone", "lb", "", "Surface Seat Desk Dresser Bed Drawer Safe Shelf"),
    class(
        "Cloth",
        "bt",
        "c",
        "Surface Seat Desk Dresser BathtubBasin Cabinet Cart Drawer GarbageCan LaundryHamper Shelf SinkBasin Toilet",
    ),
    class("CreditCard", "lb", "", "Surface Seat Desk Dresser Drawer Safe Shelf"),
    class("Cup", "k", "chf", "Surface Desk Dresser Cabinet Fridge Microwave Shelf SinkBasin"),
    class("DishSponge", "kt", "c", "Surface BathtubBasin Cabinet Cart Drawer GarbageCan Shelf SinkBasin Toilet"),
    class("Egg", "k", "chfs", "Surface Fridge GarbageCan Microwave SinkBasin"),
    class("Fork", "k", "c", "Surface Drawer SinkBasin"),
    class("Glassbottle", "k", "", "Surface Desk Dresser Cabinet Fridge Microwave Shelf SinkBasin"),
    class(
        "HandTowel",
        "t",
        "",
        "Surface BathtubBasin Cabinet Cart Drawer GarbageCan HandTowelHolder Shelf SinkBasin Toilet",
    ),
    class("Kettle", "k", "c", "Surface Cabinet Shelf SinkBasin StoveBurner"),
    class("KeyChain", "lb", "", "Surface Seat Desk Dresser Drawer Safe Shelf"),
    class("Knife", "k", "c", "Surface Drawer SinkBasin"),
    class("Ladle", "k", "c", "Surface Cabinet Drawer SinkBasin"),
    class("Laptop", "lb", "", "Surface Seat Desk Dresser Bed"),
    class("Lettuce", "k", "cfs", "Surface Fridge GarbageCan SinkBasin"),
    class("Mug", "kb", "chf", "Surface Desk Dresser Cabinet Cart CoffeeMachine Fridge Microwave Shelf SinkBasin"),
    class("Newspaper", "l", "", "Surface Seat Desk Dresser Bed Cabinet Drawer GarbageCan Shelf Toilet"),
    class("Pan", "k", "cf", "Surface Cabinet Fridge SinkBasin StoveBurner"),
    class("PaperTowel", "t", "", "Surface Cart GarbageCan Shelf Toilet"),
    class("Pen", "lb", "", "Surface Desk Dresser Drawer GarbageCan Shelf"),
    class("Pencil", "lb", "", "Surface Desk Dresser Drawer GarbageCan Shelf"),
    class("PepperShaker", "k", "", "Surface Cabinet Drawer Shelf"),
    class("Pillow", "lb", "", "Seat Bed"),
    class("Plate", "kl", "chf", "Surface Desk Dresser Cabinet Fridge Microwave Shelf SinkBasin"),
    class("Plunger", "t", "", "Cabinet Cart"),
    class("Pot", "k", "cf", "Surface Cabinet Fridge Shelf SinkBasin StoveBurner"),
    class("Potato", "k", "chfs", "Surface Fridge GarbageCan Microwave SinkBasin"),
    class("RemoteControl", "lb", "", "Surface Seat Desk Dresser Drawer Shelf"),
    class("SaltShaker", "k", "", "Surface Cabinet Drawer Shelf"),
    class("SoapBar", "t", "c", "Surface BathtubBasin Cabinet Cart Drawer GarbageCan Shelf SinkBasin Toilet"),
    class("SoapBottle", "kt", "", "Surface Cabinet Cart Desk Drawer GarbageCan Shelf Toilet"),
    class("Spatula", "k", "c", "Surface Drawer SinkBasin"),
    class("Spoon", "k", "c", "Surface Drawer SinkBasin"),
    class("SprayBottle", "t", "", "Surface Desk Dresser Cabinet Cart Drawer GarbageCan Shelf Toilet"),
    class("Statue", "l", "", "Surface Desk Dresser Cart Safe Shelf"),
    class("TennisRacket", "b", "", "Surface Desk Dresser Bed"),
    class("TissueBox", "lt", "", "Surface Desk Dresser Cabinet Cart Drawer GarbageCan Shelf TVStand Toilet"),
    class("ToiletPaper", "t", "", "Surface Desk Dresser Cabinet Cart Drawer GarbageCan Shelf Toilet ToiletPaperHanger"),
    class("Tomato", "k", "chfs", "Surface Fridge GarbageCan Microwave SinkBasin"),
    class("Towel", "t", "", "TowelHolder"),
    class("Vase", "lb", "", "Surface Desk Dresser Cabinet Cart Safe Shelf"),
    class("Watch", "lb", "", "Surface Desk Dresser Drawer Safe Shelf"),
    class("WineBottle", "k", "f", "Surface Desk Dresser Cabinet Fridge GarbageCan Shelf"),
];

/// Objects that hold objects, and what may be in them.
pub const CONTAINERS: [(&str, &[&str]); 7] = [
    ("Bowl", &["Apple", "Egg", "Potato", "Tomato", "Spoon", "KeyChain", "CreditCard", "Pen", "Watch"]),
    ("Box", &["CD", "CellPhone", "CreditCard", "KeyChain", "Pencil", "RemoteControl", "Watch"]),
    ("Cup", &["ButterKnife", "Fork", "Spoon"]),
    ("Mug", &["Fork", "Spoon", "Pen", "Pencil", "KeyChain"]),
    ("Pan", &["Egg", "Spatula", "Potato", "Tomato"]),
    ("Plate", &["Apple", "Egg", "Fork", "Knife", "Tomato", "CD", "CreditCard"]),
    ("Pot", &["Ladle", "Lettuce", "Potato", "Spoon"]),
];

pub const LAMPS: [&str; 2] = ["DeskLamp", "FloorLamp"];
/// Where lamps stand.
pub const LAMP_PLACES: [&str; 6] = ["Desk", "SideTable", "Dresser", "Shelf", "CoffeeTable", "DiningTable"];

/// What stands around and cannot be moved.
pub const FURNISHINGS: [&str; 5] = ["Footstool", "HousePlant", "LightSwitch", "Painting", "Window"];

pub const OPENABLE: [&str; 5] = ["Fridge", "Cabinet", "Microwave", "Drawer", "Safe"];

impl ObjectClass {
    pub fn named(name: &str) -> Option<&'static ObjectClass> {
        OBJECTS.iter().find(|class| class.name == name)
    }

    pub fn is_in(&self, room: &Room) -> bool {
        self.rooms.contains(room.letter)
    }

    pub fn is_cleanable(&self) -> bool {
        self.treatments.contains('c')
    }

    pub fn is_heatable(&self) -> bool {
        self.treatments.contains('h')
    }

    pub fn is_coolable(&self) -> bool {
        self.treatments.contains('f')
    }

    pub fn is_sliceable(&self) -> bool {
        self.treatments.contains('s')
    }

    pub fn fits(&self, receptacle: &str) -> bool {
        self.places.split(' ').any(|place| match GROUPS.iter().find(|(group, _)| *group == place) {
            Some((_, members)) => members.contains(&receptacle),
            None => place == receptacle,
        })
    }
}

#[derive(Debug)]
pub struct Room {
    letter: char,
    /// A class of receptacles, the fewest and the most of them.
    pub receptacles: &'static [(&'static str, u64, u64)],
}

pub const KITCHEN: Room = Room {
    letter: 'k',
    receptacles: &[
        ("Cabinet", 3, 8),
        ("CoffeeMachine", 1, 1),
        ("CounterTop", 1, 3),
        ("DiningTable", 0, 1),
        ("Drawer", 2, 6),
        ("Fridge", 1, 1),
        ("GarbageCan", 1, 1),
        ("Microwave", 1, 1),
        ("Shelf", 0, 3),
        ("SideTable", 0, 1),
        ("SinkBasin", 1, 2),
        ("StoveBurner", 2, 4),
        ("Toaster", 1, 1),
    ],
};

pub const LIVING_ROOM: Room = Room {
    letter: 'l',
    receptacles: &[
        ("ArmChair", 0, 2),
        ("Cabinet", 0, 3),
        ("CoffeeTable", 1, 1),
        ("DiningTable", 0, 1),
        ("Drawer", 1, 5),
        ("Dresser", 0, 1),
        ("GarbageCan", 1, 1),
        ("Ottoman", 0, 1),
        ("Safe", 0, 1),
        ("Shelf", 0, 4),
        ("SideTable", 1, 2),
        ("Sofa", 1, 2),
        ("TVStand", 0, 1),
    ],
};

pub const BEDROOM: Room = Room {
    letter: 'b',
    receptacles: &[
        ("ArmChair", 0, 1),
        ("Bed", 1, 1),
        ("Desk", 1, 1),
        ("Drawer", 2, 6),
        ("Dresser", 0, 1),
        ("GarbageCan", 1, 1),
        ("LaundryHamper", 0, 1),
        ("Safe", 0, 1),
        ("Shelf", 0, 4),
        ("SideTable", 1, 2),
    ],
};

pub const BATHROOM: Room = Room {
    letter: 't',
    receptacles: &[
        ("BathtubBasin", 0, 1),
        ("Cabinet", 1, 4),
        ("Cart", 0, 1),
        ("CounterTop", 1, 1),
        ("Drawer", 0, 4),
        ("GarbageCan", 1, 1),
        ("HandTowelHolder", 1, 2),
        ("Shelf", 0, 2),
        ("SinkBasin", 1, 2),
        ("Toilet", 1, 1),
        ("ToiletPaperHanger", 1, 1),
        ("TowelHolder", 1, 1),
    ],
};
