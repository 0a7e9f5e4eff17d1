//! A folder of manifests that is gone when the test is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of our own.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let name = format!("pratique-test-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder in the temporary directory can be made");
        Self { path }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, as an argument.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Writes a file, or replaces it in one step: a reader sees the old text or the new one.
    pub fn write(&self, name: &str, text: &str) {
        let draft = self.path.join(format!(".{name}.draft"));
        fs::write(&draft, text).expect("a file in our own folder can be written");
        fs::rename(&draft, self.path.join(name)).expect("and renamed");
    }

    /// Writes a file in a folder of this one.
    pub fn write_in(&self, folder: &str, name: &str, text: &str) {
        let folder = self.path.join(folder);
        fs::create_dir_all(&folder).expect("a folder in our own can be made");
        fs::write(folder.join(name), text).expect("and written to");
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path.join(name)).expect("the file is there");
    }

    /// An ImagePolicy with this `spec`, in YAML.
    pub fn policy(&self, name: &str, spec: &str) {
        let spec = spec.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
        let head = "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\n";
        self.write(&format!("policy-{name}.yaml"), &format!("{head}metadata: {{name: {name}}}\nspec:\n{spec}"));
    }

    /// A Namespace with labels such as `("pratique.dev/enforce", "restricted")`.
    pub fn namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| format!("    {key}: \"{value}\"\n")).collect::<Vec<_>>().concat();
        let labels = if labels.is_empty() { String::new() } else { format!("  labels:\n{labels}") };
        let text = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n{labels}");
        self.write(&format!("namespace-{name}.yaml"), &text);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary directory and harms nobody.
        let _left_behind = fs::remove_dir_all(&self.path);
    }
}
