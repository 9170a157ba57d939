//! A grid of rooms under construction: walls, doors, objects, the agent. Every draw is minigrid's, in its order.

use super::geometry::{Area, Direction, Point};
use super::world::{Cell, Colour, DoorState, Kind, Object, ObjectId, World};
use crate::engine::env::python::numpy_random::NumpyRandom;

/// The level at hand will not do: the next one is drawn from the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected;

/// Attempts to place an object or the agent, beyond the first.
const PLACE_TRIES: usize = 1000;

/// Attempts to connect all rooms, beyond the first.
const CONNECT_TRIES: usize = 5000;

/// In the order in which levels draw them.
const PORTABLE: [Kind; 3] = [Kind::Key, Kind::Ball, Kind::Box];

/// A side of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Wall,
    /// The wall was taken away.
    Gap,
    Door(ObjectId),
}

#[derive(Debug, Clone)]
struct Room {
    area: Area,
    /// By direction: right, down, left, up.
    sides: [Side; 4],
    door_positions: [Option<Point>; 4],
    /// A locked door was the last that was made from this room.
    locked: bool,
    /// Kinds and colours of the objects put into it.
    objects: Vec<(Kind, Colour)>,
}

/// A room by column and row.
pub type RoomAt = (i32, i32);

pub struct Rooms {
    pub world: World,
    pub random: NumpyRandom,
    pub columns: i32,
    pub rows: i32,
    rooms: Vec<Room>,
}

impl Rooms {
    /// Closed rooms without doors. The places of doors are drawn here. Until the agent is placed, it counts as being in
    /// the middle.
    pub fn new(random: NumpyRandom, room_size: i32, columns: i32, rows: i32) -> Self {
        let world = World::new(room_size, columns, rows);
        let mut rooms = Rooms { world, random, columns, rows, rooms: Vec::new() };
        for (column, row) in rooms.by_rows() {
            let area = Area { top: Point::new(column * (room_size - 1), row * (room_size - 1)), size: room_size };
            rooms.wall_in(area);
            let (sides, door_positions) = ([Side::Wall; 4], [None; 4]);
            rooms.rooms.push(Room { area, sides, door_positions, locked: false, objects: Vec::new() });
        }
        for room in rooms.by_rows() {
            rooms.draw_door_positions(room);
        }
        let middle = |count: i32| count / 2 * (room_size - 1) + room_size / 2;
        rooms.world.agent = Point::new(middle(columns), middle(rows));
        rooms
    }

    fn by_rows(&self) -> impl Iterator<Item = RoomAt> + use<> {
        let (columns, rows) = (self.columns, self.rows);
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (column, row)))
    }

    pub fn by_columns(&self) -> impl Iterator<Item = RoomAt> + use<> {
        let (columns, rows) = (self.columns, self.rows);
        (0..columns).flat_map(move |column| (0..rows).map(move |row| (column, row)))
    }

    fn wall_in(&mut self, area: Area) {
        let last = area.size - 1;
        for i in 0..area.size {
            for (x, y) in [(i, 0), (i, last), (0, i), (last, i)] {
                self.world.set(area.top + Point::new(x, y), Cell::Wall);
            }
        }
    }

    /// A room draws the doors at its right and below; the others are those of its neighbours.
    fn draw_door_positions(&mut self, room: RoomAt) {
        let (top, last) = (self.room(room).area.top, self.world.room_size - 1);
        if self.neighbour(room, Direction::Right).is_some() {
            let y = self.random.integers(top.y + 1, top.y + last);
            self.room_mut(room).door_positions[0] = Some(Point::new(top.x + last, y));
        }
        if self.neighbour(room, Direction::Down).is_some() {
            let x = self.random.integers(top.x + 1, top.x + last);
            self.room_mut(room).door_positions[1] = Some(Point::new(x, top.y + last));
        }
        for (side, opposite) in [(Direction::Left, 0), (Direction::Up, 1)] {
            if let Some(neighbour) = self.neighbour(room, side) {
                self.room_mut(room).door_positions[side as usize] = self.room(neighbour).door_positions[opposite];
            }
        }
    }

    fn room(&self, (column, row): RoomAt) -> &Room {
        &self.rooms[(row * self.columns + column) as usize]
    }

    fn room_mut(&mut self, (column, row): RoomAt) -> &mut Room {
        &mut self.rooms[(row * self.columns + column) as usize]
    }

    pub fn area(&self, room: RoomAt) -> Area {
        self.room(room).area
    }

    pub fn neighbour(&self, room: RoomAt, side: Direction) -> Option<RoomAt> {
        let step = side.vector();
        let next = (room.0 + step.x, room.1 + step.y);
        ((0..self.columns).contains(&next.0) && (0..self.rows).contains(&next.1)).then_some(next)
    }

    pub fn room_of(&self, at: Point) -> RoomAt {
        let step = self.world.room_size - 1;
        (at.x / step, at.y / step)
    }

    /// The doors of a room, from its right side on.
    pub fn doors(&self, room: RoomAt) -> impl Iterator<Item = ObjectId> + '_ {
        self.room(room).sides.iter().filter_map(|side| match side {
            Side::Door(id) => Some(*id),
            Side::Wall | Side::Gap => None,
        })
    }

    pub fn random_room(&mut self) -> RoomAt {
        (self.random.integers(0, self.columns), self.random.integers(0, self.rows))
    }

    pub fn random_colour(&mut self) -> Colour {
        self.random.choice(&Colour::BY_NAME)
    }

    pub fn coin(&mut self) -> bool {
        self.random.integers(0, 2) == 0
    }

    /// `count` different items, in the order drawn.
    pub fn subset<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut left = items.to_vec();
        (0..count.min(items.len())).map(|_| left.remove(self.random.integers(0, left.len() as i32) as usize)).collect()
    }

    /// A free cell of an area, which must not be beside the agent if `away` says so.
    fn free_cell(&mut self, area: Area, away: bool) -> Result<Point, Rejected> {
        for _ in 0..=PLACE_TRIES {
            let x = self.random.integers(area.top.x, area.top.x + area.size);
            let y = self.random.integers(area.top.y, area.top.y + area.size);
            let at = Point::new(x, y);
            let distance = at.distance(self.world.agent);
            if self.world.cell(at) == Cell::Empty && distance > 0 && (!away || distance > 1) {
                return Ok(at);
            }
        }
        Err(Rejected)
    }

    /// Puts an object somewhere into a room, not beside the agent.
    pub fn place(&mut self, room: RoomAt, object: Object) -> Result<ObjectId, Rejected> {
        let at = self.free_cell(self.area(room), true)?;
        self.room_mut(room).objects.push((object.kind, object.colour));
        let id = self.world.add(object);
        self.world.put(id, at);
        Ok(id)
    }

    /// A new object in a room; what is `None` is drawn.
    pub fn add_object(
        &mut self,
        room: RoomAt,
        kind: Option<Kind>,
        colour: Option<Colour>,
    ) -> Result<ObjectId, Rejected> {
        let kind = kind.unwrap_or_else(|| self.random.choice(&PORTABLE));
        let colour = colour.unwrap_or_else(|| self.random_colour());
        self.place(room, Object::new(kind, colour))
    }

    /// A new door between a room and its neighbour; what is `None` is drawn.
    pub fn add_door(
        &mut self,
        room: RoomAt,
        side: Option<Direction>,
        colour: Option<Colour>,
        locked: Option<bool>,
    ) -> Result<ObjectId, Rejected> {
        let side = match side {
            Some(side) => side,
            None => self.random_side(room)?,
        };
        let colour = colour.unwrap_or_else(|| self.random_colour());
        let locked = locked.unwrap_or_else(|| self.coin());
        let at = self.room(room).door_positions[side as usize].ok_or(Rejected)?;
        let neighbour = self.neighbour(room, side).ok_or(Rejected)?;
        self.room_mut(room).locked = locked;
        let state = if locked { DoorState::Locked } else { DoorState::Closed };
        let door = self.world.add(Object { door: state, ..Object::new(Kind::Door, colour) });
        self.world.put(door, at);
        self.set_side(room, neighbour, side, Side::Door(door));
        Ok(door)
    }

    fn set_side(&mut self, room: RoomAt, neighbour: RoomAt, side: Direction, to: Side) {
        self.room_mut(room).sides[side as usize] = to;
        self.room_mut(neighbour).sides[(side as usize + 2) % 4] = to;
    }

    /// A side with a neighbour and without a door. Without one, upstream would draw for ever.
    fn random_side(&mut self, room: RoomAt) -> Result<Direction, Rejected> {
        let free = |rooms: &Self, side: Direction| {
            rooms.neighbour(room, side).is_some() && rooms.room(room).sides[side as usize] == Side::Wall
        };
        if !Direction::ALL.iter().any(|&side| free(self, side)) {
            return Err(Rejected);
        }
        loop {
            let side = self.random.choice(&Direction::ALL);
            if free(self, side) {
                return Ok(side);
            }
        }
    }

    /// Takes the wall between a room and its neighbour away.
    pub fn remove_wall(&mut self, room: RoomAt, side: Direction) {
        let Some(neighbour) = self.neighbour(room, side) else { return };
        let Area { top, size } = self.area(room);
        for i in 1..size - 1 {
            let at = match side {
                Direction::Right => Point::new(size - 1, i),
                Direction::Down => Point::new(i, size - 1),
                Direction::Left => Point::new(0, i),
                Direction::Up => Point::new(i, 0),
            };
            self.world.set(top + at, Cell::Empty);
        }
        self.set_side(room, neighbour, side, Side::Gap);
    }

    /// Puts the agent into a room (`None`: any), not right in front of an object.
    pub fn place_agent(&mut self, room: Option<RoomAt>) -> Result<(), Rejected> {
        let room = match room {
            Some(room) => room,
            None => self.random_room(),
        };
        loop {
            self.world.agent = Point::new(-1, -1);
            self.world.agent = self.free_cell(self.area(room), false)?;
            self.world.facing = self.random.choice(&Direction::ALL);
            if !matches!(self.world.cell(self.world.front()), Cell::Object(_)) {
                return Ok(());
            }
        }
    }

    /// Puts the agent into any room but one.
    pub fn place_agent_outside(&mut self, forbidden: Option<RoomAt>) -> Result<(), Rejected> {
        loop {
            self.place_agent(None)?;
            if Some(self.room_of(self.world.agent)) != forbidden {
                return Ok(());
            }
        }
    }

    /// Adds unlocked doors until every room can be reached from the agent's, leaving rooms with a lock alone.
    pub fn connect_all(&mut self, colours: &[Colour]) -> Result<(), Rejected> {
        for _ in 0..=CONNECT_TRIES {
            if self.all_connected() {
                return Ok(());
            }
            let room = self.random_room();
            let side = self.random.choice(&Direction::ALL);
            let Some(neighbour) = self.neighbour(room, side) else { continue };
            let walled = self.room(room).sides[side as usize] == Side::Wall;
            if !walled || self.room(room).locked || self.room(neighbour).locked {
                continue;
            }
            let colour = self.random.choice(colours);
            self.add_door(room, Some(side), Some(colour), Some(false))?;
        }
        Err(Rejected)
    }

    fn all_connected(&self) -> bool {
        let mut reached = vec![false; self.rooms.len()];
        let mut stack = vec![self.room_of(self.world.agent)];
        while let Some(room) = stack.pop() {
            if std::mem::replace(&mut reached[(room.1 * self.columns + room.0) as usize], true) {
                continue;
            }
            let open = Direction::ALL.into_iter().filter(|&side| self.room(room).sides[side as usize] != Side::Wall);
            stack.extend(open.filter_map(|side| self.neighbour(room, side)));
        }
        reached.iter().all(|&reached| reached)
    }

    /// `count` random objects, in a room or (`None`) all over the maze; `unique`: none like another in the maze.
    pub fn add_distractors(
        &mut self,
        room: Option<RoomAt>,
        count: usize,
        unique: bool,
    ) -> Result<Vec<ObjectId>, Rejected> {
        let mut present: Vec<(Kind, Colour)> =
            self.rooms.iter().flat_map(|room| room.objects.iter().copied()).collect();
        let mut added = Vec::with_capacity(count);
        while added.len() < count {
            let colour = self.random_colour();
            let kind = self.random.choice(&PORTABLE);
            if unique && present.contains(&(kind, colour)) {
                continue;
            }
            let into = match room {
                Some(room) => room,
                None => self.random_room(),
            };
            added.push(self.add_object(into, Some(kind), Some(colour))?);
            present.push((kind, colour));
        }
        Ok(added)
    }

    /// Whether the agent can walk up to every object without moving another; doors, even locked ones, let it pass.
    pub fn all_reachable(&self) -> bool {
        let world = &self.world;
        let index = |at: Point| (at.y * world.width + at.x) as usize;
        let mut reached = vec![false; (world.width * world.height) as usize];
        let mut stack = vec![world.agent];
        while let Some(at) = stack.pop() {
            let inside = (0..world.width).contains(&at.x) && (0..world.height).contains(&at.y);
            if !inside || std::mem::replace(&mut reached[index(at)], true) {
                continue;
            }
            let passable = match world.cell(at) {
                Cell::Empty => true,
                Cell::Wall => false,
                Cell::Object(id) => world.object(id).kind == Kind::Door,
            };
            if passable {
                stack.extend(Direction::ALL.map(|side| at + side.vector()));
            }
        }
        world.by_columns().all(|(at, cell)| !matches!(cell, Cell::Object(_)) || reached[index(at)])
    }

    pub fn require_reachable(&self) -> Result<(), Rejected> {
        if self.all_reachable() { Ok(()) } else { Err(Rejected) }
    }
}
