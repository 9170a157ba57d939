//! What tables call models and players.

/// The players that learned nothing, in the order of tables.
pub const BASELINES: [&str; 4] = ["random", "constant", "rule", "expert"];

/// `RL` for `rl`; a name that has no title stands for itself.
pub fn of(name: &str) -> String {
    let title = match name {
        "sft" => "SFT",
        "rl" => "RL",
        "random" => "random play",
        "constant" => "best constant answer",
        "rule" => "one-line rule",
        other => other,
    };
    title.to_string()
}

/// With its article.
pub fn in_sentence(name: &str) -> String {
    let article = if matches!(name, "constant" | "rule" | "expert" | "base") { "the " } else { "" };
    format!("{article}{}", of(name))
}

/// Of a stage of training.
pub fn of_stage(name: &str) -> String {
    let title = match name {
        "base" => "Base model",
        "sft" => "Supervised fine-tuning",
        "rl" => "Reinforcement learning",
        "run" => "Without a stage",
        other => other,
    };
    title.to_string()
}
