//! What a goal asks for, read off its conditions: the type of the task and the classes of things in it. The expert
//! works from this, and `info.task_type` names it.

use super::lisp::Expression;
use super::problem::Kind;
use super::things::{Index, Things};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskType {
    PickAndPlace,
    LookInLight,
    Clean,
    Heat,
    Cool,
    PickTwo,
    /// Put something into a bowl or the like and that somewhere. ALFRED has these, ALFWorld leaves them out.
    MovableReceptacle,
    /// A goal of no known shape. It can be played; there is no expert for it.
    Other,
}

impl TaskType {
    /// The six of ALFWorld, in its order.
    pub const ALL: [TaskType; 6] = [
        TaskType::PickAndPlace,
        TaskType::LookInLight,
        TaskType::Clean,
        TaskType::Heat,
        TaskType::Cool,
        TaskType::PickTwo,
    ];

    pub fn name(self) -> &'static str {
        match self {
            TaskType::PickAndPlace => "pick_and_place_simple",
            TaskType::LookInLight => "look_at_obj_in_light",
            TaskType::Clean => "pick_clean_then_place_in_recep",
            TaskType::Heat => "pick_heat_then_place_in_recep",
            TaskType::Cool => "pick_cool_then_place_in_recep",
            TaskType::PickTwo => "pick_two_obj_and_place",
            TaskType::MovableReceptacle => "pick_and_place_with_movable_recep",
            TaskType::Other => "other",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub kind: TaskType,
    /// The class of what is to be carried.
    pub object: Option<Index>,
    /// The class of where it is to go.
    pub receptacle: Option<Index>,
    /// The class of the lamp.
    pub lamp: Option<Index>,
    pub sliced: bool,
}

impl Task {
    pub fn of(goal: &Expression, things: &Things) -> Self {
        let mut atoms = Vec::new();
        collect(goal, &mut atoms);
        let has = |predicate: &str| atoms.iter().any(|(name, _)| *name == predicate);
        let kind = match () {
            _ if has("inreceptacleobject") => TaskType::MovableReceptacle,
            _ if has("istoggled") => TaskType::LookInLight,
            _ if has("=") => TaskType::PickTwo,
            _ if has("isclean") => TaskType::Clean,
            _ if has("ishot") => TaskType::Heat,
            _ if has("iscool") => TaskType::Cool,
            _ if has("inreceptacle") => TaskType::PickAndPlace,
            _ => TaskType::Other,
        };
        let toggled = atoms.iter().find(|(name, _)| *name == "istoggled").and_then(|(_, variables)| variables.first());
        let class = |predicate: &str, kind: Kind, wanted: &dyn Fn(&str) -> bool| {
            let mut typed = atoms.iter().filter(|(name, _)| *name == predicate);
            let constant = typed.find_map(|(_, words)| match words.as_slice() {
                [thing, class] if wanted(thing) => Some(*class),
                _ => None,
            });
            constant.and_then(|id| things.find(id)).and_then(|(found, index)| (found == kind).then_some(index))
        };
        let is_lamp = |variable: &str| toggled.is_some_and(|toggled| *toggled == variable);
        Task {
            kind,
            object: class("objecttype", Kind::ObjectType, &|variable| !is_lamp(variable)),
            receptacle: class("receptacletype", Kind::ReceptacleType, &|_| true),
            lamp: class("objecttype", Kind::ObjectType, &is_lamp),
            sliced: has("issliced"),
        }
    }
}

/// The atoms of a condition with their arguments, whatever stands around them.
fn collect<'a>(condition: &'a Expression, atoms: &mut Vec<(&'a str, Vec<&'a str>)>) {
    let Some((head, rest)) = condition.headed() else { return };
    match head {
        "and" | "or" | "not" | "imply" => rest.iter().for_each(|part| collect(part, atoms)),
        "exists" | "forall" => rest.iter().skip(1).for_each(|part| collect(part, atoms)),
        _ => atoms.push((head, rest.iter().filter_map(Expression::word).collect())),
    }
}
