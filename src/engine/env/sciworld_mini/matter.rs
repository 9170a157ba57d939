//! Substances: where they melt and boil, and what they are called then.

/// A state of matter, in the order in which heat brings them about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Solid,
    Liquid,
    Gas,
}

#[derive(Debug, PartialEq)]
pub struct Material {
    /// What it is called in a task, and by state.
    pub name: &'static str,
    names: [&'static str; 3],
    /// Both in degrees Celsius, at the pressure of the air.
    pub melts: f64,
    pub boils: f64,
}

const fn material(name: &'static str, names: [&'static str; 3], melts: f64, boils: f64) -> Material {
    Material { name, names, melts, boils }
}

/// The temperature of the rooms, in degrees Celsius.
pub const ROOM: f64 = 21.0;

/// Fats and wax are mixtures: their figures are the usual middle.
pub static MATERIALS: [Material; 11] = [
    material("water", ["ice", "water", "steam"], 0.0, 100.0),
    material("ethanol", ["frozen ethanol", "ethanol", "ethanol vapour"], -114.0, 78.0),
    material("acetone", ["frozen acetone", "acetone", "acetone vapour"], -95.0, 56.0),
    material("mercury", ["solid mercury", "mercury", "mercury vapour"], -39.0, 357.0),
    material("gallium", ["gallium", "liquid gallium", "gallium vapour"], 30.0, 2400.0),
    material("butter", ["butter", "melted butter", "butter fumes"], 33.0, 350.0),
    material("chocolate", ["chocolate", "melted chocolate", "chocolate fumes"], 34.0, 400.0),
    material("wax", ["wax", "liquid wax", "wax vapour"], 60.0, 370.0),
    material("sulfur", ["sulfur", "liquid sulfur", "sulfur vapour"], 115.0, 445.0),
    material("tin", ["tin", "liquid tin", "tin vapour"], 232.0, 2602.0),
    material("lead", ["lead", "liquid lead", "lead vapour"], 327.0, 1749.0),
];

impl Material {
    pub fn state_at(&self, celsius: f64) -> State {
        match celsius {
            c if c < self.melts => State::Solid,
            c if c < self.boils => State::Liquid,
            _ => State::Gas,
        }
    }

    pub fn name_at(&self, celsius: f64) -> &'static str {
        self.names[self.state_at(celsius) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_substance_is_named_by_its_state() {
        let water = &MATERIALS[0];
        assert_eq!([-1.0, 0.0, 99.9, 100.0].map(|c| water.name_at(c)), ["ice", "water", "water", "steam"]);
        assert!(MATERIALS.iter().all(|material| material.melts < material.boils));
    }
}
