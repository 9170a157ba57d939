//! The grid world: cells, objects, the agent, and what one move does to them. Numbers and codes are minigrid's.

use super::geometry::{Area, Direction, Point};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Colour {
    Red,
    Green,
    Blue,
    Purple,
    Yellow,
    Grey,
}

impl Colour {
    /// In the order of minigrid's codes.
    const CODED: [Colour; 6] = [Colour::Red, Colour::Green, Colour::Blue, Colour::Purple, Colour::Yellow, Colour::Grey];

    /// In the order in which levels draw them: by name.
    pub const BY_NAME: [Colour; 6] =
        [Colour::Blue, Colour::Green, Colour::Grey, Colour::Purple, Colour::Red, Colour::Yellow];

    pub fn name(self) -> &'static str {
        match self {
            Colour::Red => "red",
            Colour::Green => "green",
            Colour::Blue => "blue",
            Colour::Purple => "purple",
            Colour::Yellow => "yellow",
            Colour::Grey => "grey",
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::CODED.get(usize::from(code)).copied()
    }
}

/// What stands in a cell, walls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Door,
    Key,
    Ball,
    Box,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Door => "door",
            Kind::Key => "key",
            Kind::Ball => "ball",
            Kind::Box => "box",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DoorState {
    Open,
    Closed,
    Locked,
}

/// An object's place in [`World::objects`]; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId(pub u16);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    pub kind: Kind,
    pub colour: Colour,
    /// `Open` for all that is no door: nothing bars the view, and minigrid's state code is 0 as well.
    pub door: DoorState,
    /// `None` while it is carried or inside a box.
    pub position: Option<Point>,
    /// What a box holds.
    pub contents: Option<ObjectId>,
}

impl Object {
    pub fn new(kind: Kind, colour: Colour) -> Self {
        Object { kind, colour, door: DoorState::Open, position: None, contents: None }
    }

    pub fn is_open_door(&self) -> bool {
        self.kind == Kind::Door && self.door == DoorState::Open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    Empty,
    Wall,
    Object(ObjectId),
}

/// A cell as minigrid encodes it: type, colour, state.
pub type Code = [u8; 3];

pub mod code {
    //! The types in a [`Code`](super::Code).
    pub const UNSEEN: u8 = 0;
    pub const EMPTY: u8 = 1;
    pub const WALL: u8 = 2;
    pub const DOOR: u8 = 4;
    pub const KEY: u8 = 5;
    pub const BALL: u8 = 6;
    pub const BOX: u8 = 7;
}

/// A low-level action; the numbers are minigrid's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    Left,
    Right,
    Forward,
    PickUp,
    Drop,
    Toggle,
}

impl Move {
    pub const ALL: [Move; 6] = [Move::Left, Move::Right, Move::Forward, Move::PickUp, Move::Drop, Move::Toggle];
}

/// The state of the world. `agent` is outside the grid until it has been placed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub width: i32,
    pub height: i32,
    /// The side of a room, walls included.
    pub room_size: i32,
    cells: Vec<Cell>,
    pub objects: Vec<Object>,
    pub agent: Point,
    pub facing: Direction,
    pub carrying: Option<ObjectId>,
}

impl World {
    /// An empty grid of `columns` × `rows` rooms, without walls.
    pub fn new(room_size: i32, columns: i32, rows: i32) -> Self {
        let (width, height) = ((room_size - 1) * columns + 1, (room_size - 1) * rows + 1);
        World {
            width,
            height,
            room_size,
            cells: vec![Cell::Empty; (width * height) as usize],
            objects: Vec::new(),
            agent: Point::new(-1, -1),
            facing: Direction::Right,
            carrying: None,
        }
    }

    fn index(&self, at: Point) -> Option<usize> {
        let inside = (0..self.width).contains(&at.x) && (0..self.height).contains(&at.y);
        inside.then_some((at.y * self.width + at.x) as usize)
    }

    /// Outside the grid is wall.
    pub fn cell(&self, at: Point) -> Cell {
        self.index(at).map_or(Cell::Wall, |index| self.cells[index])
    }

    pub fn set(&mut self, at: Point, cell: Cell) {
        if let Some(index) = self.index(at) {
            self.cells[index] = cell;
        }
    }

    pub fn object(&self, id: ObjectId) -> &Object {
        &self.objects[usize::from(id.0)]
    }

    pub fn object_mut(&mut self, id: ObjectId) -> &mut Object {
        &mut self.objects[usize::from(id.0)]
    }

    pub fn object_at(&self, at: Point) -> Option<(ObjectId, &Object)> {
        match self.cell(at) {
            Cell::Object(id) => Some((id, self.object(id))),
            Cell::Empty | Cell::Wall => None,
        }
    }

    /// Takes up an object without a place.
    pub fn add(&mut self, object: Object) -> ObjectId {
        self.objects.push(object);
        ObjectId((self.objects.len() - 1) as u16)
    }

    pub fn put(&mut self, id: ObjectId, at: Point) {
        self.set(at, Cell::Object(id));
        self.object_mut(id).position = Some(at);
    }

    /// Column by column, each from the top: the order in which missions list objects.
    pub fn by_columns(&self) -> impl Iterator<Item = (Point, Cell)> + '_ {
        (0..self.width).flat_map(move |x| {
            (0..self.height).map(move |y| (Point::new(x, y), self.cells[(y * self.width + x) as usize]))
        })
    }

    pub fn front(&self) -> Point {
        self.agent + self.facing.vector()
    }

    pub fn carried(&self) -> Option<&Object> {
        self.carrying.map(|id| self.object(id))
    }

    /// The room of a cell; a cell on a shared wall belongs to the room at its right or below.
    pub fn room_of(&self, at: Point) -> Area {
        let step = self.room_size - 1;
        Area { top: Point::new(at.x / step * step, at.y / step * step), size: self.room_size }
    }

    pub fn encode(&self, cell: Cell) -> Code {
        match cell {
            Cell::Empty => [code::EMPTY, 0, 0],
            Cell::Wall => [code::WALL, Colour::Grey as u8, 0],
            Cell::Object(id) => {
                let object = self.object(id);
                let kind = match object.kind {
                    Kind::Door => code::DOOR,
                    Kind::Key => code::KEY,
                    Kind::Ball => code::BALL,
                    Kind::Box => code::BOX,
                };
                [kind, object.colour as u8, object.door as u8]
            }
        }
    }

    /// One move. A move that cannot be done changes nothing.
    pub fn act(&mut self, action: Move) {
        let front = self.front();
        match action {
            Move::Left => self.facing = self.facing.turned_left(),
            Move::Right => self.facing = self.facing.turned_right(),
            Move::Forward => self.go(front),
            Move::PickUp => self.pick_up(front),
            Move::Drop => self.drop(front),
            Move::Toggle => self.toggle(front),
        }
    }

    fn go(&mut self, front: Point) {
        let free = match self.cell(front) {
            Cell::Empty => true,
            Cell::Wall => false,
            Cell::Object(id) => self.object(id).is_open_door(),
        };
        if free {
            self.agent = front;
        }
    }

    fn pick_up(&mut self, front: Point) {
        if let Cell::Object(id) = self.cell(front)
            && self.object(id).kind != Kind::Door
            && self.carrying.is_none()
        {
            self.carrying = Some(id);
            self.object_mut(id).position = None;
            self.set(front, Cell::Empty);
        }
    }

    fn drop(&mut self, front: Point) {
        if self.cell(front) == Cell::Empty
            && let Some(id) = self.carrying.take()
        {
            self.put(id, front);
        }
    }

    /// Opens, closes or unlocks a door; a box gives way to its contents.
    fn toggle(&mut self, front: Point) {
        let Cell::Object(id) = self.cell(front) else { return };
        let (kind, colour, contents) = {
            let object = self.object(id);
            (object.kind, object.colour, object.contents)
        };
        match kind {
            Kind::Door => {
                let has_key = self.carried().is_some_and(|held| held.kind == Kind::Key && held.colour == colour);
                let door = &mut self.object_mut(id).door;
                *door = match *door {
                    DoorState::Open => DoorState::Closed,
                    DoorState::Closed => DoorState::Open,
                    DoorState::Locked if has_key => DoorState::Open,
                    DoorState::Locked => DoorState::Locked,
                };
            }
            Kind::Box => {
                self.object_mut(id).position = None;
                match contents {
                    Some(inside) => self.put(inside, front),
                    None => self.set(front, Cell::Empty),
                }
            }
            Kind::Key | Kind::Ball => {}
        }
    }
}
