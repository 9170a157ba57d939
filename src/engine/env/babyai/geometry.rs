//! Cells, directions, rectangles.

use std::ops::{Add, Neg, Sub};

/// A cell's column and row, counted from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    pub x: i32,
    pub y: i32,
}

impl Point {
    pub const fn new(x: i32, y: i32) -> Self {
        Point { x, y }
    }

    /// Steps between two cells when nothing is in the way.
    pub fn distance(self, other: Point) -> i32 {
        (self.x - other.x).abs() + (self.y - other.y).abs()
    }

    pub fn dot(self, other: Point) -> i32 {
        self.x * other.x + self.y * other.y
    }

    pub fn times(self, factor: i32) -> Point {
        Point::new(self.x * factor, self.y * factor)
    }

    /// A direction turned to its right by a quarter.
    pub fn turned_right(self) -> Point {
        Point::new(-self.y, self.x)
    }
}

impl Add for Point {
    type Output = Point;
    fn add(self, other: Point) -> Point {
        Point::new(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Point {
    type Output = Point;
    fn sub(self, other: Point) -> Point {
        Point::new(self.x - other.x, self.y - other.y)
    }
}

impl Neg for Point {
    type Output = Point;
    fn neg(self) -> Point {
        self.times(-1)
    }
}

/// Where the agent looks. The order is minigrid's and turns to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Right,
    Down,
    Left,
    Up,
}

impl Direction {
    pub const ALL: [Direction; 4] = [Direction::Right, Direction::Down, Direction::Left, Direction::Up];

    pub fn vector(self) -> Point {
        match self {
            Direction::Right => Point::new(1, 0),
            Direction::Down => Point::new(0, 1),
            Direction::Left => Point::new(-1, 0),
            Direction::Up => Point::new(0, -1),
        }
    }

    pub fn turned_right(self) -> Self {
        Self::ALL[(self as usize + 1) % 4]
    }

    pub fn turned_left(self) -> Self {
        Self::ALL[(self as usize + 3) % 4]
    }
}

/// A room's cells, its walls included. Neighbouring rooms share a wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub top: Point,
    pub size: i32,
}

impl Area {
    pub fn contains(self, at: Point) -> bool {
        let inside = at - self.top;
        (0..self.size).contains(&inside.x) && (0..self.size).contains(&inside.y)
    }
}
