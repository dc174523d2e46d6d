//! Opening volumes: devices, lock, recovery; [`doubts`] has the questions that volumes have to each other.

use std::{path::Path, sync::Arc};

use super::{
    Volume, doubts,
    recover::{Opened, Recovery, Replayed},
};
use crate::{
    device::{self, Device},
    enough,
    error::{Error, ErrorKind, Result},
    log::OpenLog,
    options::VolumeOptions,
    owing,
    shared::{Claim, Lease, Registration, Shared, claim},
};

pub(super) fn open(url: &str, options: &VolumeOptions) -> Result<Volume> {
    let mut volumes = open_all(&[(url.to_owned(), options.clone())])?;
    volumes.pop().ok_or_else(|| no_devices(url))
}

/// As [`open`], of a volume of one file.
pub(super) fn open_path(path: &Path, options: &VolumeOptions) -> Result<Volume> {
    // A name with an underscore in front is memory, in a URL.
    let here = if path.starts_with("/") { "" } else { "./" };
    open(&format!("he://./{here}{}", device::text_of(path)), options)
}

pub(super) fn destroy(url: &str) -> Result<()> {
    let options = VolumeOptions {
        create: false,
        exclusive: true,
        ..VolumeOptions::default()
    };
    let _claims = claim(std::iter::once((url, &options)))?;
    check_owes_nothing(url, &options)?;
    device::open_url(url, &options)
        .and_then(OpenLog::erase)
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
    doubts::resolve(&mut opened, &[])?;
    let finished: Result<Vec<_>> = opened.into_iter().map(Opened::finish).collect();
    let all = finished?;
    doubts::adopt(&all, &[])?;
    Ok(all.into_iter().map(Volume::from_shared).collect())
}

/// Opens several volumes that share transactions, and settles between them what a crash left
/// in doubt. `InDoubt` names a volume that has to be opened with them.
pub fn open_all(volumes: &[(String, VolumeOptions)]) -> Result<Vec<Volume>> {
    let wanted = volumes.iter().map(|(url, options)| (&**url, options));
    let mut shared: Vec<Option<Arc<Lease>>> = Vec::new();
    let mut opened = Vec::new();
    for ((url, options), claim) in volumes.iter().zip(claim(wanted)?) {
        shared.push(match claim {
            Claim::Joined(lease) => Some(lease),
            Claim::Mine(registration) => {
                opened.push(Opened::new(url, options, registration)?);
                None
            }
        });
    }
    let others: Vec<_> = shared.iter().flatten().cloned().collect();
    doubts::resolve(&mut opened, &others)?;
    let fresh: Result<Vec<_>> = opened.into_iter().map(Opened::finish).collect();
    let fresh = fresh?;
    doubts::adopt(&fresh, &others)?;
    let mut fresh = fresh.into_iter();
    let all = shared
        .into_iter()
        .map(|found| found.or_else(|| fresh.next()));
    Ok(all.flatten().map(Volume::from_shared).collect())
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
        let Replayed { open, recovery } = self.replayed;
        let recovered = recovery
            .finish(open.log())
            .map_err(|why| why.context(&self.url))?;
        let lease = Lease::new(Shared::new(self.url, open, self.options, recovered));
        if let Some(registration) = registration {
            registration.opened(&lease);
        }
        lease.checkpoints.keep_room();
        lease.start()?;
        Ok(lease)
    }
}

fn replay(devices: Vec<Box<dyn Device>>, options: &VolumeOptions) -> Result<Replayed> {
    let _span = tracing::info_span!("recovery").entered();
    enough::to_open()?;
    let mut recovery = Recovery::new(options);
    let open = OpenLog::open_or_create(devices, options, &mut recovery)?;
    Ok(Replayed { open, recovery })
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
    let owed = match found {
        Ok(found) => found.recovery.owed_to(found.open.log()),
        Err(why) if why.kind() == ErrorKind::VolumeInUse => return Err(why),
        Err(_) => return Ok(()),
    };
    let owed = owed.map_err(|why| {
        why.context(format!(
            "{url}: is not truncated or destroyed, because the decisions that it keeps for others cannot be read"
        ))
    })?;
    owing::check_none(url, &owed)
}
