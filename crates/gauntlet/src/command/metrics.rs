//! What `/metrics` offers, and the dashboard made from it. Needs no gateway.

use anyhow::Result;
use gauntlet_trace::{
    catalog::{METRICS, Metric},
    dashboard::dashboard,
};
use serde_json::json;

use crate::{
    cli::Metrics,
    show::{self, Column},
};

pub fn run(command: &Metrics, is_json: bool) -> Result<()> {
    match command {
        Metrics::Dashboard => println!("{:#}", dashboard()),
        Metrics::List if is_json => {
            let list: Vec<_> = METRICS
                .iter()
                .map(|metric| {
                    json!({
                        "name": metric.name, "kind": metric.kind.as_str(), "labels": metric.labels,
                        "help": metric.help,
                    })
                })
                .collect();
            println!("{:#}", json!({"metrics": list}));
        }
        Metrics::List => {
            let row = |metric: &Metric| {
                let labels = metric.labels.join(" ");
                [metric.name, metric.kind.as_str(), &labels, metric.help].map(str::to_owned).to_vec()
            };
            let columns = [
                Column::Whole("metric"),
                Column::Left("kind"),
                Column::Left("labels"),
                Column::Left("meaning"),
            ];
            show::table(&columns, METRICS.iter().map(row).collect(), "");
        }
    }
    Ok(())
}
