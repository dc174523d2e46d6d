//! Opening volumes: devices, lock, recovery, and the questions that volumes have to each other.

use std::sync::Arc;

use super::{
    Shared, Volume, VolumeId, VolumeOptions,
    lease::Lease,
    maintenance::Maintenance,
    recover::{self, Recovery, Replayed},
    registry::{self, Claim, Registration},
};
use crate::{
    device::{self, Device},
    error::{Error, ErrorKind, Result},
    log::{GlobalTxn, Log},
};

pub(super) fn open(url: &str, options: &VolumeOptions) -> Result<Volume> {
    let mut volumes = open_all(&[(url.to_owned(), options.clone())])?;
    volumes.pop().ok_or_else(|| no_devices(url))
}

pub(super) fn destroy(url: &str) -> Result<()> {
    let options = VolumeOptions {
        create: false,
        exclusive: true,
        ..VolumeOptions::default()
    };
    let _claims = registry::claim(std::iter::once((url, &options)))?;
    check_owes_nothing(url, &options)?;
    device::open_url(url, &options)
        .and_then(Log::erase)
        .map_err(|why| why.context(url))
}

fn no_devices(url: &str) -> Error {
    Error::new(ErrorKind::InvalidUrl, format!("{url}: names no device"))
}

pub(super) fn open_devices(
    devices: Vec<Box<dyn Device>>,
    options: &VolumeOptions,
) -> Result<Volume> {
    let mut volumes = open_all_devices(vec![(devices, options.clone())])?;
    volumes.pop().ok_or_else(|| no_devices(""))
}

/// Does for devices of the caller's own making what [`open_all`] does for URLs.
pub fn open_all_devices(
    volumes: Vec<(Vec<Box<dyn Device>>, VolumeOptions)>,
) -> Result<Vec<Volume>> {
    let mut opened = Vec::with_capacity(volumes.len());
    for (devices, options) in volumes {
        opened.push(Opened::on_devices(devices, options)?);
    }
    resolve_doubts(&mut opened)?;
    let finished: Result<Vec<_>> = opened.into_iter().map(Opened::finish).collect();
    let all = finished?;
    forget_decisions(&all)?;
    Ok(all.into_iter().map(Volume::from_shared).collect())
}

/// Opens several volumes that share transactions, and settles between them what a crash left
/// in doubt. `InDoubt` names a volume that has to be opened with them.
pub fn open_all(volumes: &[(String, VolumeOptions)]) -> Result<Vec<Volume>> {
    let wanted = volumes.iter().map(|(url, options)| (&**url, options));
    let mut shared: Vec<Option<Arc<Lease>>> = Vec::new();
    let mut opened = Vec::new();
    for ((url, options), claim) in volumes.iter().zip(registry::claim(wanted)?) {
        shared.push(match claim {
            Claim::Joined(lease) => Some(lease),
            Claim::Mine(registration) => {
                opened.push(Opened::new(url, options, registration)?);
                None
            }
        });
    }
    resolve_doubts(&mut opened)?;
    let mut opened = opened.into_iter();
    let mut all = Vec::with_capacity(shared.len());
    for found in shared {
        all.push(match found {
            Some(shared) => shared,
            None => opened.next().ok_or_else(|| no_devices(""))?.finish()?,
        });
    }
    forget_decisions(&all)?;
    Ok(all.into_iter().map(Volume::from_shared).collect())
}

/// A volume on its way up.
struct Opened {
    url: String,
    options: VolumeOptions,
    replayed: Replayed,
    // Goes last: whoever waits for it finds the devices free.
    registration: Option<Registration>,
}

impl Opened {
    fn new(url: &str, options: &VolumeOptions, registration: Option<Registration>) -> Result<Self> {
        let options = &options.clamped();
        if options.truncate {
            check_owes_nothing(url, options)?;
        }
        let replayed = device::open_url(url, options)
            .and_then(|devices| replay(devices, options))
            .map_err(|why| why.context(url))?;
        Ok(Self {
            url: url.to_owned(),
            options: options.clone(),
            replayed,
            registration,
        })
    }

    fn on_devices(devices: Vec<Box<dyn Device>>, options: VolumeOptions) -> Result<Self> {
        let names: Vec<&str> = devices.iter().map(|device| device.name()).collect();
        let url = names.join(",");
        let options = options.clamped();
        let replayed = replay(devices, &options).map_err(|why| why.context(&url))?;
        Ok(Self {
            url,
            options,
            replayed,
            registration: None,
        })
    }

    fn finish(self) -> Result<Arc<Lease>> {
        // First: it goes after the log.
        let Self { registration, .. } = self;
        let Replayed { log, recovery } = self.replayed;
        let recovered = recovery
            .finish(&log)
            .map_err(|why| why.context(&self.url))?;
        let lease = Lease::new(Shared::new(self.url, log, self.options, recovered));
        if let Some(registration) = registration {
            registration.opened(&lease);
        }
        Maintenance::start(&lease)?;
        Ok(lease)
    }
}

fn replay(devices: Vec<Box<dyn Device>>, options: &VolumeOptions) -> Result<Replayed> {
    let _span = tracing::info_span!("recovery").entered();
    let mut recovery = Recovery::new(options);
    let log = Log::open_or_create(devices, options, &mut recovery)?;
    Ok(Replayed { log, recovery })
}

/// Asks the deciders what became of prepared batches; then, when all participants have that
/// durably, forgets the decisions that no one can ask for any more.
fn resolve_doubts(opened: &mut [Opened]) -> Result<()> {
    for asking in 0..opened.len() {
        for global in opened[asking].replayed.recovery.in_doubt() {
            let committed = ask(opened, &opened[asking], global)?;
            resolve(&mut opened[asking], global, committed)?;
        }
    }
    // CRASH: resolve records are buffered until here; without them the same question is
    // asked, and answered the same, next time.
    for volume in opened.iter().filter(|volume| !volume.options.read_only) {
        volume.replayed.log.sync_to(volume.replayed.log.end())?;
    }
    Ok(())
}

/// Forgets decisions whose participants are all here: [`resolve_doubts`] has left none of
/// them in doubt.
fn forget_decisions(volumes: &[Arc<Lease>]) -> Result<()> {
    for decider in volumes
        .iter()
        .filter(|volume| volume.check_writable().is_ok())
    {
        for (number, participants) in recover::read_all(&decider.decisions, &decider.log)? {
            let here = |id: &[u8]| volumes.iter().any(|volume| volume.id().0 == id);
            if let Ok(number) = <[u8; 8]>::try_from(number.as_slice())
                && participants.chunks(16).all(here)
            {
                decider.delete_decision(u64::from_be_bytes(number))?;
            }
        }
    }
    Ok(())
}

/// Refuses to truncate a volume whose decisions others may still have to ask for. One that
/// cannot be opened at all may be truncated.
fn check_owes_nothing(url: &str, options: &VolumeOptions) -> Result<()> {
    let look = VolumeOptions {
        truncate: false,
        create: false,
        read_only: true,
        ..options.clone()
    };
    let found = device::open_url(url, &look).and_then(|devices| replay(devices, &look));
    match found {
        Ok(found) if found.recovery.owes_decisions() => Err(Error::new(
            ErrorKind::Busy,
            format!(
                "{url}: is not truncated, because it keeps decisions about transactions that other volumes have not \
                 settled; open it together with them once"
            ),
        )),
        Err(why) if why.kind() == ErrorKind::VolumeInUse => Err(why),
        _ => Ok(()),
    }
}

fn ask(opened: &[Opened], asking: &Opened, global: GlobalTxn) -> Result<bool> {
    let decider = opened
        .iter()
        .find(|volume| volume.replayed.log.volume_id() == global.decider);
    let decider = decider.ok_or_else(|| missing_decider(asking, global.decider))?;
    let Replayed { log, recovery } = &decider.replayed;
    recovery.has_decided(log, global.number, asking.replayed.log.volume_id())
}

fn resolve(volume: &mut Opened, global: GlobalTxn, committed: bool) -> Result<()> {
    if volume.options.read_only {
        return Err(Error::new(
            ErrorKind::InDoubt,
            format!(
                "{}: a transaction over several volumes was cut short and has to be settled, which a read-only open \
                 cannot do; open the volume for writing once",
                volume.url
            ),
        ));
    }
    volume.replayed.log.append_resolve(global, committed)?;
    volume.replayed.recovery.settle(global, committed);
    Ok(())
}

fn missing_decider(asking: &Opened, decider: VolumeId) -> Error {
    Error::new(
        ErrorKind::InDoubt,
        format!(
            "{}: a transaction over several volumes was cut short, and only volume {decider} knows whether it \
             committed; open that volume together with this one",
            asking.url
        ),
    )
}
