//! The metrics of both programs, in one registry that is built once and handed down.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

/// What one cache did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStat {
    /// Which cache: a fixed word such as `signatures`.
    pub cache: &'static str,
    /// Answers from memory.
    pub hits: u64,
    /// Answers that had to be looked up.
    pub misses: u64,
    /// Look-ups that ended in an error.
    pub failures: u64,
    /// Answers that had to go because more were asked for than fit.
    pub evictions: u64,
    /// Entries held now.
    pub entries: u64,
    /// Requests sent to another host (a registry) for this cache.
    pub requests: u64,
}

/// Whoever keeps caches and can say how they fare.
pub trait CacheStats: Send + Sync + 'static {
    /// A row a cache; cheap, called on every scrape.
    fn stats(&self) -> Vec<CacheStat>;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    operation: &'static str,
    kind: &'static str,
    allowed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControlLabels {
    control: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    resource: &'static str,
}

type FloatGauge = Gauge<f64, AtomicU64>;

/// Every metric of the product. Cheap to clone through an [`Arc`]; label values are `&'static str` by construction.
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    denials: Family<ControlLabels, Counter>,
    duration: Histogram,
    body_bytes: Gauge,
    connections: Gauge,
    connections_rejected: Family<ReasonLabels, Counter>,
    bodies_rejected: Family<ReasonLabels, Counter>,
    panics: Counter,
    certificate_expiry: FloatGauge,
    certificate_failures: Family<ReasonLabels, Counter>,
    watch_errors: Family<WatchLabels, Counter>,
    leader: Gauge,
    drift_repairs: Counter,
    reconcile_errors: Family<ReasonLabels, Counter>,
}

impl Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Metrics {
    /// The registry with every metric registered; `caches` are asked on each scrape.
    #[must_use]
    pub fn new(caches: Vec<Arc<dyn CacheStats>>) -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let reviews = Family::default();
        registry.register(
            "admission_reviews",
            "Reviews answered, by what was asked and answered",
            reviews.clone(),
        );
        let denials = Family::default();
        registry.register("admission_denials", "Reviews refused, by refusing control", denials.clone());
        let duration = Histogram::new([
            0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0,
            3.0,
        ]);
        registry.register_with_unit(
            "admission_review_duration",
            "Time from the request's header to its answer",
            Unit::Seconds,
            duration.clone(),
        );
        let body_bytes = Gauge::default();
        registry.register_with_unit(
            "admission_bodies_in_flight",
            "Bytes of request bodies held in memory now",
            Unit::Bytes,
            body_bytes.clone(),
        );
        let connections = Gauge::default();
        registry.register("connections", "Connections open now on the HTTPS listener", connections.clone());
        let connections_rejected = Family::default();
        registry.register(
            "connections_rejected",
            "Connections closed by the server, by reason",
            connections_rejected.clone(),
        );
        let bodies_rejected = Family::default();
        registry.register(
            "admission_bodies_rejected",
            "Requests not judged on their content, by reason",
            bodies_rejected.clone(),
        );
        let panics = Counter::default();
        registry.register("panics", "Panics caught while handling a request", panics.clone());
        let certificate_expiry = FloatGauge::default();
        registry.register_with_unit(
            "certificate_expiry",
            "Unix time at which the serving certificate expires; 0 while none is loaded",
            Unit::Seconds,
            certificate_expiry.clone(),
        );
        let certificate_failures = Family::default();
        registry.register(
            "certificate_failures",
            "Certificate pairs that were refused or could not be written, by reason",
            certificate_failures.clone(),
        );
        let watch_errors = Family::default();
        registry.register("watch_errors", "Errors of watches, by resource", watch_errors.clone());
        let leader = Gauge::default();
        registry.register("leader", "1 while this process leads", leader.clone());
        let drift_repairs = Counter::default();
        registry.register(
            "webhook_configuration_repairs",
            "Repairs of the webhook configuration after someone changed or deleted it",
            drift_repairs.clone(),
        );
        let reconcile_errors = Family::default();
        registry.register(
            "reconcile_errors",
            "Reconciliations that ended in an error, by error variant",
            reconcile_errors.clone(),
        );
        registry.register_collector(Box::new(Caches(caches)));
        Self {
            registry,
            reviews,
            denials,
            duration,
            body_bytes,
            connections,
            connections_rejected,
            bodies_rejected,
            panics,
            certificate_expiry,
            certificate_failures,
            watch_errors,
            leader,
            drift_repairs,
            reconcile_errors,
        }
    }

    /// Counts an answered review.
    pub fn review(&self, operation: &'static str, kind: &'static str, allowed: bool) {
        let allowed = if allowed { "true" } else { "false" };
        self.reviews.get_or_create(&ReviewLabels { operation, kind, allowed }).inc();
    }

    /// Counts a control that refused.
    pub fn denial(&self, control: &'static str) {
        self.denials.get_or_create(&ControlLabels { control }).inc();
    }

    /// Records how long one review took.
    pub fn review_took(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }

    /// Adds to (or, when negative, takes from) the bytes of bodies in memory.
    pub fn bodies_in_flight(&self, bytes: i64) {
        self.body_bytes.inc_by(bytes);
    }

    /// Adds to (or, when negative, takes from) the open connections.
    pub fn connections_open(&self, change: i64) {
        self.connections.inc_by(change);
    }

    /// Counts a connection that the server closed on its own.
    pub fn connection_rejected(&self, reason: &'static str) {
        self.connections_rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a request that was answered without looking at its content.
    pub fn body_rejected(&self, reason: &'static str) {
        self.bodies_rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a caught panic.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Sets when the serving certificate expires, in seconds since 1970.
    pub fn certificate_expires(&self, unix_seconds: i64) {
        // Seconds since 1970 are exact in an f64 for the next 285 million years.
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        self.certificate_expiry.set(unix_seconds as f64);
    }

    /// Counts a pair that was refused or not written.
    pub fn certificate_failed(&self, reason: &'static str) {
        self.certificate_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts an error of a watch.
    pub fn watch_failed(&self, resource: &'static str) {
        self.watch_errors.get_or_create(&WatchLabels { resource }).inc();
    }

    /// Says whether this process leads.
    pub fn leading(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Counts a repair of the webhook configuration.
    pub fn drift_repaired(&self) {
        self.drift_repairs.inc();
    }

    /// Counts a failed reconciliation by the variant of its error.
    pub fn reconcile_failed(&self, variant: &'static str) {
        self.reconcile_errors.get_or_create(&ReasonLabels { reason: variant }).inc();
    }

    /// The exposition text, as `OpenMetrics` 1.0.
    ///
    /// # Errors
    /// When a metric cannot be formatted, which only a broken collector can cause.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(8192);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A counter of a cache: its name, its help and where its value stands.
type Column = (&'static str, &'static str, fn(&CacheStat) -> u64);

/// Caches and the process's memory, read at scrape time.
struct Caches(Vec<Arc<dyn CacheStats>>);

impl Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caches").field(&self.0.len()).finish()
    }
}

impl Collector for Caches {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let rows: Vec<CacheStat> = self.0.iter().flat_map(|caches| caches.stats()).collect();
        let columns: [Column; 5] = [
            ("cache_hits", "Answers from memory, by cache", |row| row.hits),
            ("cache_misses", "Answers that had to be looked up, by cache", |row| row.misses),
            ("cache_failures", "Look-ups that failed, by cache", |row| row.failures),
            ("cache_evictions", "Answers that had to go because more did not fit, by cache", |row| {
                row.evictions
            }),
            ("cache_requests", "Requests sent to other hosts, by cache", |row| row.requests),
        ];
        for (name, help, value) in columns {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for row in &rows {
                ConstCounter::new(value(row)).encode(family.encode_family(&[("cache", row.cache)])?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "cache_entries",
            "Entries held now, by cache",
            None,
            MetricType::Gauge,
        )?;
        for row in &rows {
            ConstGauge::new(row.entries).encode(family.encode_family(&[("cache", row.cache)])?)?;
        }
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(bytes);
            let resident = encoder.encode_descriptor(
                "resident_memory",
                "Resident memory of the process",
                Some(&Unit::Bytes),
                <ConstGauge<u64> as TypedMetric>::TYPE,
            )?;
            gauge.encode(resident)?;
        }
        Ok(())
    }
}

/// Resident memory from the kernel's count of pages, or nothing where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Signatures;

    impl CacheStats for Signatures {
        fn stats(&self) -> Vec<CacheStat> {
            vec![CacheStat {
                cache: "signatures",
                hits: 7,
                misses: 2,
                failures: 1,
                evictions: 4,
                entries: 3,
                requests: 5,
            }]
        }
    }

    #[test]
    fn the_names_are_those_that_alerts_use() {
        let metrics = Metrics::new(vec![Arc::new(Signatures)]);
        metrics.review("CREATE", "Pod", false);
        metrics.denial("image-signature-trusted");
        metrics.review_took(Duration::from_millis(2));
        metrics.certificate_expires(1_800_000_000);
        metrics.body_rejected("oversized");
        metrics.connection_rejected("silent");
        metrics.watch_failed("secrets");
        metrics.leading(true);
        let text = metrics.encode().unwrap();
        for line in [
            "portcullis_admission_reviews_total{operation=\"CREATE\",kind=\"Pod\",allowed=\"false\"} 1",
            "portcullis_admission_denials_total{control=\"image-signature-trusted\"} 1",
            "portcullis_admission_review_duration_seconds_count 1",
            "portcullis_certificate_expiry_seconds 1800000000.0",
            "portcullis_admission_bodies_rejected_total{reason=\"oversized\"} 1",
            "portcullis_connections_rejected_total{reason=\"silent\"} 1",
            "portcullis_watch_errors_total{resource=\"secrets\"} 1",
            "portcullis_leader 1",
            "portcullis_cache_hits_total{cache=\"signatures\"} 7",
            "portcullis_cache_evictions_total{cache=\"signatures\"} 4",
            "portcullis_cache_requests_total{cache=\"signatures\"} 5",
            "portcullis_cache_entries{cache=\"signatures\"} 3",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("portcullis_resident_memory_bytes "), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
