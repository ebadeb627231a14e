//! The simulated node's configfs: nvmet's own fake kernel, stopped and watched.

use std::io;
use std::path::Path;
use std::sync::Arc;

use nvmet::Tree;
use nvmet::fake::Kernel;
use nvmet::tree::Entry;

use super::Sim;

impl Sim {
    fn kernel(&self) -> Arc<Kernel> {
        Arc::clone(&self.lock().kernel)
    }

    fn change(&self, change: impl FnOnce(&Kernel) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        state.fuse.burn()?;
        change(&state.kernel)?;
        state.watch();
        state.fuse.burn()
    }
}

impl Tree for Sim {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.kernel().list(directory)
    }

    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
        self.kernel().read(attribute)
    }

    fn write(&self, attribute: &Path, value: &[u8]) -> io::Result<()> {
        self.change(|kernel| kernel.write(attribute, value))
    }

    fn mkdir(&self, directory: &Path) -> io::Result<()> {
        self.change(|kernel| kernel.mkdir(directory))
    }

    fn rmdir(&self, directory: &Path) -> io::Result<()> {
        self.change(|kernel| kernel.rmdir(directory))
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.change(|kernel| kernel.symlink(target, link))
    }

    fn unlink(&self, link: &Path) -> io::Result<()> {
        self.change(|kernel| kernel.unlink(link))
    }

    fn is_block_device(&self, device: &Path) -> io::Result<bool> {
        self.kernel().is_block_device(device)
    }
}
