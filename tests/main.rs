mod optimizer;
mod rl_golden;
