//! The public packages the corpus is made of, pinned by version and SHA-256.
//!
//! They are ordinary wheels for 64-bit Windows: native libraries and programs as real PE files, and
//! thousands of small text files. Nothing of them is part of this repository; `pip download` fetches
//! them and refuses any other content.

/// One wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Package {
    /// The project's name in the package index.
    pub(super) name: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// The wheel's file name.
    pub(super) file: &'static str,
    /// The wheel's SHA-256, in hexadecimal.
    pub(super) sha256: &'static str,
    /// Where its files go in an image.
    pub(super) folder: &'static str,
}

macro_rules! packages {
    ($($id:ident = $name:literal $version:literal, $file:literal, $sha256:literal, $folder:literal;)*) => {
        $(
            #[doc = concat!($name, " ", $version)]
            pub(super) const $id: Package = Package {
                name: $name, version: $version, file: $file, sha256: $sha256, folder: $folder,
            };
        )*
    };
}

packages! {
    QT_ESSENTIALS = "PySide6_Essentials" "6.8.1",
        "PySide6_Essentials-6.8.1-cp39-abi3-win_amd64.whl",
        "d5ed4ddb149f36d65bc49ae4260b2d213ee88b2d9a309012ae27f38158c2d1b6", "Windows/System32";
    QT_ADDONS = "PySide6_Addons" "6.8.1",
        "PySide6_Addons-6.8.1-cp39-abi3-win_amd64.whl",
        "d7c8c1e89ee0db84631d5b8fdb9129d9d2a0ffb3b4cb2f5192dc8367dd980db4", "Windows/SystemApps";
    SHIBOKEN = "shiboken6" "6.8.1",
        "shiboken6-6.8.1-cp39-abi3-win_amd64.whl",
        "3ea127fd72be113b73cacd70e06687ad6f83c1c888047833c7dcdd5cf8e7f586", "Windows/System32";
    NUMPY = "numpy" "2.1.3",
        "numpy-2.1.3-cp312-cp312-win_amd64.whl",
        "0d30c543f02e84e92c4b1f415b7c6b5326cbe45ee7882b6b77db7195fb971e3a", "Program Files/Common Files";
    NUMPY_NEXT = "numpy" "2.2.0",
        "numpy-2.2.0-cp312-cp312-win_amd64.whl",
        "3a4199f519e57d517ebd48cb76b36c82da0360781c6a0353e64c0cac30ecaad3", "Program Files/Common Files";
    SCIPY = "scipy" "1.14.1",
        "scipy-1.14.1-cp312-cp312-win_amd64.whl",
        "2ff38e22128e6c03ff73b6bb0f85f897d2362f8c052e3b8ad00532198fbdae3f", "Program Files";
    SCIPY_NEXT = "scipy" "1.15.0",
        "scipy-1.15.0-cp312-cp312-win_amd64.whl",
        "327163ad73e54541a675240708244644294cb0a65cca420c9c79baeb9648e479", "Program Files";
    PANDAS = "pandas" "2.2.3",
        "pandas-2.2.3-cp312-cp312-win_amd64.whl",
        "59ef3764d0fe818125a5097d2ae867ca3fa64df032331b7e0917cf5d7bf66b13", "Program Files";
    PANDAS_NEXT = "pandas" "2.2.2",
        "pandas-2.2.2-cp312-cp312-win_amd64.whl",
        "d187d355ecec3629624fccb01d104da7d7f391db0311145817525281e2804d23", "Program Files";
    PYARROW = "pyarrow" "18.0.0",
        "pyarrow-18.0.0-cp312-cp312-win_amd64.whl",
        "fe92efcdbfa0bcf2fa602e466d7f2905500f33f09eb90bf0bcf2e6ca41b574c8", "Windows/System32/drivers";
    OPENCV = "opencv-python-headless" "4.10.0.84",
        "opencv_python_headless-4.10.0.84-cp37-abi3-win_amd64.whl",
        "afcf28bd1209dd58810d33defb622b325d3cbe49dcd7a43a902982c33e5fad05", "Program Files (x86)";
    POLARS = "polars" "1.16.0",
        "polars-1.16.0-cp39-abi3-win_amd64.whl",
        "17efcb550c42d51034ff79702612b9184d8eac0d500de1dd7fb98490459276d3", "Windows/SysWOW64";
    DJANGO = "Django" "5.1.3",
        "Django-5.1.3-py3-none-any.whl",
        "8b38a9a12da3ae00cb0ba72da985ec4b14de6345046b1e174b1fd7254398f818", "Windows/INF";
    DJANGO_NEXT = "Django" "5.1.4",
        "Django-5.1.4-py3-none-any.whl",
        "236e023f021f5ce7dee5779de7b286565fdea5f4ab86bae5338e3f7b69896cf0", "Windows/INF";
    ANSIBLE = "ansible" "10.6.0",
        "ansible-10.6.0-py3-none-any.whl",
        "b873b6ca13bde5b6bf9f0ae3b9dba91e135a9612c699d5f6a1e07d7ca2b00458", "Windows/servicing/Packages";
}

/// One image of the corpus: the name of its folder and what it holds.
pub(super) type Image = (&'static str, &'static [Package]);

/// Two editions and a small PE of about 190 MB without duplicates.
pub(super) const SMALL: &[Image] = &[
    ("A", &[PANDAS, PYARROW, DJANGO, SHIBOKEN]),
    ("B", &[PANDAS, PYARROW, DJANGO_NEXT, SHIBOKEN, NUMPY]),
    ("PE", &[DJANGO, SHIBOKEN]),
];

/// Two editions of 1.3 GB that share about 80 %, and a PE of 170 MB.
pub(super) const LARGE: &[Image] = &[
    (
        "A",
        &[
            QT_ESSENTIALS,
            QT_ADDONS,
            SHIBOKEN,
            NUMPY,
            SCIPY,
            PANDAS,
            PYARROW,
            OPENCV,
            POLARS,
            DJANGO,
            ANSIBLE,
        ],
    ),
    (
        "B",
        &[
            QT_ESSENTIALS,
            QT_ADDONS,
            SHIBOKEN,
            NUMPY_NEXT,
            SCIPY_NEXT,
            PANDAS_NEXT,
            PYARROW,
            OPENCV,
            POLARS,
            DJANGO_NEXT,
            ANSIBLE,
        ],
    ),
    ("PE", &[SHIBOKEN, NUMPY, POLARS]),
];
