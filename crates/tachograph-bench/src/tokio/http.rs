//! `http`: what tracing takes from a service under load.
//!
//! A service for each variant, all of them open at once, and clients that turn from one to the next in short windows. Ratios are taken
//! to the window of Tokio alone in the same round. A recording begins well before its window, so that neither its start nor the first
//! look into the program's debug information is measured, and ends a generation in each window, as often as by default.

mod load;
mod server;

use std::io;
use std::time::Duration;

use tachograph::{Recorder, Symbols};
use tokio::runtime::{Builder, Runtime};

use self::load::Client;
use super::lane::{By, Lane, Peers, Shape};
use crate::event::Kept;
use crate::failure::Failure;
use crate::measure::Series;
use crate::sink::CountingSink;
use crate::table::{Goal, figure};

const DEFAULT_ROUNDS: u64 = 15;
const SHAPES: [Shape; 2] = [Shape::Workers(1), Shape::Workers(2)];
const CLIENTS: usize = 32;
const WINDOW: Duration = Duration::from_millis(800);
const LEAD_IN: Duration = Duration::from_millis(100);
/// Longer than two generations: the first one's symbols may take as long as another.
const RECORDING_LEAD_IN: Duration = Duration::from_millis(1500);
const GENERATION: Duration = Duration::from_millis(700);
const SAMPLE_HZ: u32 = 99;

/// Most of the throughput that full tracing may take, in percent.
const LOSS: f64 = 2.0;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Off,
    On(Symbols),
    #[cfg(feature = "peers")]
    Dial9,
}

/// Full tracing.
const FULL: Mode = Mode::On(Symbols::InProcess);

struct Variant {
    name: &'static str,
    by: By,
    mode: Mode,
    per_second: Series,
    p50_us: Series,
    p99_us: Series,
    /// CPU time of the service's threads for a request.
    cpu_us: Series,
    /// Of the window, by the service's threads.
    busy: Series,
    process_us: Series,
}

/// A service and the connections to it.
struct Service {
    lane: Lane,
    clients: Vec<Client>,
}

/// Measures and prints.
pub fn run(rounds: Option<u64>) -> Result<(), Failure> {
    let rounds = rounds.unwrap_or(DEFAULT_ROUNDS);
    println!(
        "an echo service on axum, {CLIENTS} connections, {rounds} windows of {WINDOW:?} each; ours on: samples at {SAMPLE_HZ} Hz, symbols, stacks as time allows"
    );
    let peers = Peers::start()?;
    let mut kept = Kept::default();
    let driver = Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(Failure::io("building the clients' runtime"))?;
    for shape in SHAPES {
        let mut variants = variants();
        let mut services = Vec::new();
        for by in bys() {
            services.push(Service::open(&driver, shape, by, &peers)?);
        }
        for _ in 0..rounds {
            for variant in &mut variants {
                let service = services.iter_mut().find(|it| it.lane.by == variant.by);
                let service = service.expect("each has a service");
                variant.window(service, &driver, &peers, &mut kept)?;
            }
        }
        println!("\nservice on {}", shape.name());
        print(&variants);
    }
    println!();
    kept.print();
    Ok(())
}

fn bys() -> Vec<By> {
    vec![
        By::Tokio,
        By::Ours,
        #[cfg(feature = "peers")]
        By::Dial9,
    ]
}

fn variants() -> Vec<Variant> {
    vec![
        Variant::new("Tokio alone", By::Tokio, Mode::Off),
        Variant::new("ours, off", By::Ours, Mode::Off),
        Variant::new("ours, on", By::Ours, FULL),
        Variant::new(
            "ours, on, symbols later",
            By::Ours,
            Mode::On(Symbols::Offline),
        ),
        #[cfg(feature = "peers")]
        Variant::new("dial9, on", By::Dial9, Mode::Dial9),
    ]
}

impl Service {
    fn open(driver: &Runtime, shape: Shape, by: By, peers: &Peers) -> Result<Self, Failure> {
        let lane = Lane::new(shape, by, peers)?;
        let address = lane
            .block_on(server::open(by))
            .map_err(Failure::io("opening the service"))?;
        let connect = async {
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                clients.push(Client::connect(address).await?);
            }
            io::Result::Ok(clients)
        };
        let clients = driver
            .block_on(connect)
            .map_err(Failure::io("connecting to the service"))?;
        Ok(Self { lane, clients })
    }

    /// All clients ask until time is up.
    fn load(&mut self, driver: &Runtime, time: Duration) -> Result<Series, Failure> {
        let clients = std::mem::take(&mut self.clients);
        let asked = driver.block_on(async {
            let asking: Vec<_> = clients
                .into_iter()
                .map(|client| tokio::spawn(client.ask(time)))
                .collect();
            let mut all = Vec::new();
            for client in asking {
                all.push(client.await.map_err(io::Error::other)??);
            }
            io::Result::Ok(all)
        });
        let mut took = Series::default();
        for (client, times) in asked.map_err(Failure::io("asking the service"))? {
            self.clients.push(client);
            times.into_iter().for_each(|time| took.push(time));
        }
        Ok(took)
    }
}

impl Variant {
    fn new(name: &'static str, by: By, mode: Mode) -> Self {
        Self {
            name,
            by,
            mode,
            per_second: Series::default(),
            p50_us: Series::default(),
            p99_us: Series::default(),
            cpu_us: Series::default(),
            busy: Series::default(),
            process_us: Series::default(),
        }
    }

    fn window(
        &mut self,
        service: &mut Service,
        driver: &Runtime,
        peers: &Peers,
        kept: &mut Kept,
    ) -> Result<(), Failure> {
        match self.mode {
            Mode::Off => self.measure(service, driver, LEAD_IN)?,
            Mode::On(symbols) => {
                let recording = Recorder::new()
                    .symbols(symbols)
                    .sample_cpu(SAMPLE_HZ)
                    .generation_period(GENERATION)
                    .start(CountingSink::default())?;
                self.measure(service, driver, RECORDING_LEAD_IN)?;
                kept.add(&recording.stop()?);
            }
            #[cfg(feature = "peers")]
            Mode::Dial9 => {
                peers.dial9().switch(true);
                self.measure(service, driver, LEAD_IN)?;
                peers.dial9().switch(false);
            }
        }
        // Without the other recorders there is nothing in it.
        let _ = peers;
        Ok(())
    }

    fn measure(
        &mut self,
        service: &mut Service,
        driver: &Runtime,
        lead_in: Duration,
    ) -> Result<(), Failure> {
        service.load(driver, lead_in)?;
        let cpu = service.lane.threads.cpu_ns();
        let process = crate::sys::process_cpu_ns();
        let wall = crate::sys::monotonic_ns();
        let took = service.load(driver, WINDOW)?;
        let wall = (crate::sys::monotonic_ns() - wall) as f64;
        let process = (crate::sys::process_cpu_ns() - process) as f64;
        let cpu = (service.lane.threads.cpu_ns() - cpu) as f64;
        let requests = took.len() as f64;
        self.per_second.push(requests / wall * 1e9);
        self.cpu_us.push(cpu / requests / 1e3);
        self.process_us.push(process / requests / 1e3);
        self.busy.push(cpu / wall);
        for (series, share) in [(&mut self.p50_us, 0.5), (&mut self.p99_us, 0.99)] {
            took.quantile(share)
                .into_iter()
                .for_each(|us| series.push(us));
        }
        Ok(())
    }
}

fn print(variants: &[Variant]) {
    let Some(alone) = variants.first() else {
        return;
    };
    println!(
        "{:23}  {:>10}  {:>6}  {:>6}  {:>21}  {:>18}  {:>28}  {:>4}  {:>12}  {:>4}  goal",
        "what",
        "requests/s",
        "p50 us",
        "p99 us",
        "ratio, quartiles",
        "95 % of the median",
        "CPU us/request, quartiles",
        "best",
        "process",
        "busy"
    );
    for variant in variants {
        let ratio = variant.per_second.with(&alone.per_second, |a, b| a / b);
        let span = |(low, high): (f64, f64)| format!("{low:.3} to {high:.3}");
        let cpu = variant.cpu_us.with(&alone.cpu_us, |a, b| a / b);
        let process = variant
            .process_us
            .median_with(&alone.process_us, |a, b| a / b);
        let quartiles = |ratio: &Series| ratio.quantile(0.25).zip(ratio.quantile(0.75)).map(span);
        let goal = (variant.mode == FULL).then(|| Goal {
            text: format!("% of throughput lost, at most {LOSS}"),
            found: (1.0 - ratio.median().unwrap_or(f64::NAN)) * 100.0,
            most: LOSS,
        });
        // What is closer than the machine can tell is not judged.
        let verdict = goal.map(|goal| match ratio.interval() {
            Some((low, high)) if high - low > 2.0 * LOSS / 100.0 => {
                format!("{} (unsure: the machine is too noisy)", goal.verdict())
            }
            _ => goal.verdict(),
        });
        let line = format!(
            "{:23}  {:>10}  {:>6}  {:>6}  {:.3} {:>15}  {:>18}  {:>6} x{:.3} {:>15}  {:>4}  {:>5} x{:.3}  {:>4}  {}",
            variant.name,
            figure(variant.per_second.median()),
            figure(variant.p50_us.median()),
            figure(variant.p99_us.median()),
            ratio.median().unwrap_or(f64::NAN),
            quartiles(&ratio).unwrap_or_default(),
            ratio.interval().map(span).unwrap_or_default(),
            figure(variant.cpu_us.median()),
            cpu.median().unwrap_or(f64::NAN),
            quartiles(&cpu).unwrap_or_default(),
            figure(variant.cpu_us.min()),
            figure(variant.process_us.median()),
            process.unwrap_or(f64::NAN),
            figure(variant.busy.median()),
            verdict.unwrap_or_default()
        );
        println!("{}", line.trim_end());
    }
}
