//! The integration tests, in one binary: every further one would link libtorch again.

/// The AgentGym server against recorded exchanges.
mod agentgym;
/// The AgentGym client against servers that serve and servers that fail.
mod agentgym_client;
/// ALFWorld against the original's engine.
mod alfworld;
/// The layers keep their arrows.
mod arch;
/// `affine attach`.
mod attach;
/// BabyAI against minigrid's and AgentGym's own episodes.
mod babyai;
/// BabyAI's modes, opening and expert.
mod babyai_play;
/// Bad input ends in one sentence.
mod bad_input;
/// Chat templates against the texts that transformers renders.
mod chat;
/// `affine check`.
mod check;
mod checkpoints;
/// The command line as a user meets it.
mod cli;
/// `affine repl`, `test` and `types`.
mod commands;
/// Paired tests against SciPy and statsmodels.
mod comparisons;
/// `affine data show`.
mod data_command;
/// What weight decay leaves as large as it was.
mod decay;
/// The decode step that a GPU captures.
mod decode_step;
/// `affine doctor`.
mod doctor;
/// Byte order marks and UTF-16.
mod encodings;
/// What every environment declares of its limits.
mod endings;
/// Models behind endpoints.
mod endpoint;
/// A server of chat completions that fails as it is told.
mod endpoint_server;
/// `affine env` as a user meets it.
mod env_command;
/// Intervals, dominance and ranking against the validators' own results.
mod eval;
/// Results task by task.
mod eval_results;
/// A minute of the fuzzers.
mod fuzz;
/// Sampling: batches, seeds, log-probs, ends.
mod generation;
/// Programs that are made, run and told apart.
mod generator;
/// Reads recorded data for the other tests.
mod golden;
/// The checks for a GPU machine.
mod gpu;
/// Judged tasks stay apart from training.
mod held_out;
/// The Hub, both ways.
mod hub;
/// A Hub of our own.
mod hub_server;
/// Ctrl-C and SIGTERM.
mod interruption;
/// Our own kernels beside libtorch's operations.
mod kernels;
/// Two environments of one name.
mod labels;
/// Models in one file and in shards.
mod loading;
/// Adapters against PEFT.
mod lora_golden;
/// Every script under tests/lua.
mod lua;
/// Error messages, word by word.
mod messages;
/// AdamW, schedules and clipping against PyTorch.
mod optimizer;
/// Where a trainer writes that was told no folder.
mod output_dir;
/// The model against transformers and PEFT.
mod parity;
/// `scripts/sweep.lua`.
mod pipeline_sweep;
/// The folder and the home that all tests work in.
mod place;
/// `affine --plan`.
mod plan;
/// PPO on toy models.
mod ppo;
/// What every iteration of PPO rests on.
mod ppo_proofs;
/// The validators' older and newer rules.
mod profiles;
/// ABD and DED against upstream's verdicts.
mod programs;
/// Bases in few bits, against bitsandbytes.
mod quant;
/// Everything that the README shows, run.
mod readme;
/// Records in files.
mod records;
/// The report, in a browser.
mod report;
/// What makes a stage run again, and what does not.
mod reruns;
/// Advantages and losses against verl and TRL.
mod rl_golden;
/// Episodes and how they end.
mod rollout;
/// What may change memory and speed and must not change a training step.
mod same_results;
/// Untrusted programs and what they may not do.
mod sandbox;
/// SAT against the subnet's own tasks and verdicts.
mod sat;
/// ScienceWorld on its real simulator.
mod sciworld;
/// The small simulator of our own.
mod sciworld_mini;
/// What is said of a model that is trained one way and served another.
mod served;
/// Impossible settings, refused before any work.
mod settings;
/// What `affine env setup` downloads.
mod setup;
/// SFT beyond the plain run: resuming, evaluation, preflight, bad numbers.
mod sft_options;
/// Signals at the level of the process.
mod signals;
/// The five stages over every environment.
mod stages;
/// The LuaCATS stubs and the live modules name the same functions.
mod stubs;
/// Studies that processes share, some of which die.
mod sweep;
/// TextCraft against the original's texts and verdicts.
mod textcraft;
/// Tokenised records on the disk.
mod token_cache;
/// Tokenizers against transformers.
mod tokenizer;
/// Toy models, records and environments for the other tests.
mod toys;
/// Run folders and atomic files.
mod track;
/// Trackers as a script uses them.
mod trackers;
/// Supervised fine-tuning on toy models.
mod training;
/// `affine verify`.
mod verify;
/// `affine watch` on a terminal.
mod watch;
/// WebShop against recordings of the original.
mod webshop;
