//! The layer for `tracing`.

use std::fmt::{Debug, Write};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::{DEBUG, ERROR, INFO, TRACE, WARN, append};

/// A layer of a tracing subscriber that appends events to a [`shmkit::Log`]: `span{field=value}: target: message field=value`.
#[derive(Debug)]
pub struct LogLayer(shmkit::Log);

impl LogLayer {
    /// A layer over an open log.
    pub fn new(log: shmkit::Log) -> LogLayer {
        LogLayer(log)
    }
}

/// The fields of a span, as text: formatted once, when they are recorded.
struct SpanText(String);

fn kind(level: &Level) -> u32 {
    match *level {
        Level::ERROR => ERROR,
        Level::WARN => WARN,
        Level::INFO => INFO,
        Level::DEBUG => DEBUG,
        Level::TRACE => TRACE,
    }
}

/// Writes fields as `name=value`, and a message as it is. Writing to a string cannot fail.
struct Fields<'a> {
    text: &'a mut String,
    /// What stands before the next field.
    separator: &'static str,
}

impl Fields<'_> {
    fn field(&mut self, field: &Field, value: std::fmt::Arguments<'_>) {
        self.text.push_str(self.separator);
        self.separator = " ";
        let _ = match field.name() {
            "message" => self.text.write_fmt(value),
            name => write!(self.text, "{name}={value}"),
        };
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.field(field, format_args!("{value}")),
            _ => self.field(field, format_args!("{value:?}")),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut text = String::new();
        attributes.record(&mut Fields { text: &mut text, separator: "" });
        span.extensions_mut().replace(SpanText(text));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(SpanText(text)) = extensions.get_mut() {
            let separator = if text.is_empty() { "" } else { " " };
            values.record(&mut Fields { text, separator });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        append(&self.0, kind(event.metadata().level()), |text| {
            for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
                text.push_str(span.name());
                if let Some(SpanText(fields)) = span.extensions().get()
                    && !fields.is_empty()
                {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "{{{fields}}}");
                }
                text.push_str(": ");
            }
            text.push_str(event.metadata().target());
            event.record(&mut Fields { text, separator: ": " });
        });
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn events_become_records_with_their_spans_and_fields() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let layer = LogLayer::new(shmkit::Log::create(&path).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!("began");
            let span = tracing::info_span!("request", id = 7, user = tracing::field::Empty);
            let _inside = span.enter();
            span.record("user", "ada");
            let inner = tracing::debug_span!("query");
            let _deeper = inner.enter();
            tracing::warn!(target: "db", rows = 3, name = "a b", "slow");
            tracing::error!(code = 5);
        });
        let log = shmkit::Log::open_read_only(&path).unwrap();
        let reader = log.reader(shmkit::ReadFrom::Start).unwrap();
        let found: Vec<(u32, String)> = reader
            .map(|record| record.unwrap())
            .map(|record| (record.kind(), String::from_utf8(record.to_vec()).unwrap()))
            .collect();
        let here = module_path!();
        let spans = "request{id=7 user=\"ada\"}: query: ";
        let expected = [
            (INFO, format!("{here}: began")),
            (WARN, format!("{spans}db: slow rows=3 name=\"a b\"")),
            (ERROR, format!("{spans}{here}: code=5")),
        ];
        assert_eq!(found, expected);
    }
}
