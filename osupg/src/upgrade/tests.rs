//! Command lines against what Microsoft documents for setup.exe.

use super::*;
use serde_json::json;

fn image(index: u32, edition: &str, build: &str) -> ImageFacts {
    ImageFacts { index, edition: edition.into(), build: build.into(), ..ImageFacts::default() }
}

/// A package as the database would give it.
fn package() -> Package {
    let stated = json!({"value": "x64", "by": "image"});
    let mut package = json!({
        "id": "OSU00001", "name": "Windows 11", "version": "", "comment": "",
        "architecture": stated, "language": stated, "source_kind": "folder", "source_path": "/m",
        "created_at": "2026-01-01T00:00:00Z", "changed_at": "2026-01-01T00:00:00Z",
        "revision": {
            "number": 3, "parent": null, "cause": "add", "selection": "", "editions": "",
            "builds": "", "digest": "00".repeat(32), "root_modified": "2026-01-01T00:00:00Z",
            "file_count": 1, "total_size": 1, "new_size": 1, "created_at": "2026-01-01T00:00:00Z"
        }
    });
    // Fields that packages have beside these.
    for (field, value) in [
        ("selection", json!("all")),
        ("manufacturer", json!("")),
        ("priority", json!("medium")),
        ("persist_in_cache", json!(false)),
        ("folder", json!("/")),
        ("scopes", json!(["Default"])),
        ("licence", json!({"required": false, "accepted": null})),
        ("edit_count", json!(0)),
    ] {
        package[field] = value;
    }
    serde_json::from_value(package).unwrap()
}

fn call(request: serde_json::Value, images: &[ImageFacts]) -> Result<Call> {
    let mut request = request;
    request["package"] = json!("OSU00001");
    serde_json::from_value::<Request>(request).unwrap().call(&package(), images)
}

#[test]
fn one_image_of_windows_11_needs_its_licence_and_no_index() {
    let one = [image(1, "Professional", "26100.1742")];
    let call = call(json!({}), &one).unwrap();
    assert_eq!(
        call.command_line,
        ".\\setup.exe /Auto Upgrade /Quiet /NoReboot /DynamicUpdate Disable /EULA Accept"
    );
    assert_eq!((call.image_index, call.edition.as_str()), (Some(1), "Professional"));
    assert_eq!((call.time_out, call.min_free_mb), (360, 20_480));
    assert_eq!(call.additional_options, "/EULA Accept");
}

#[test]
fn windows_10_has_no_such_option() {
    let one = [image(1, "Professional", "19045.3803")];
    assert!(!call(json!({}), &one).unwrap().command_line.contains("EULA"));
}

#[test]
fn of_several_images_one_must_be_chosen_or_a_key_be_given() {
    let images = [image(1, "Core", "26100.1"), image(4, "Professional", "26100.1")];
    let error = call(json!({}), &images).unwrap_err();
    assert!(error.advice().is_some_and(|advice| advice.contains("4 Professional")));
    for chosen in [json!({"edition": "professional"}), json!({"index": 4})] {
        let call = call(chosen, &images).unwrap();
        assert!(call.command_line.ends_with("/EULA Accept /ImageIndex 4"), "{}", call.command_line);
    }
    let key = "VK7JG-NPHTM-C97JM-9MPGT-3V66T";
    let by_key = call(json!({"product_key": key}), &images).unwrap();
    assert!(by_key.command_line.contains(&format!("/PKey {key}")));
    assert_eq!(by_key.image_index, None);
    for wrong in [
        json!({"edition": "Enterprise"}),
        json!({"index": 9}),
        json!({"index": 1, "edition": "Core"}),
        json!({"product_key": "AAAAA"}),
    ] {
        assert!(call(wrong.clone(), &images).is_err(), "{wrong}");
    }
    assert!(call(json!({}), &[]).is_err());
}

#[test]
fn every_option_has_its_place() {
    let one = [image(1, "Professional", "26100.1742")];
    let request = json!({
        "source": "\\\\server\\media share\\win11\\", "scan_only": true, "ignore_warnings": true,
        "dynamic_update": "no-drivers-no-lcu", "install_drivers": "%drivers01%",
        "migrate_drivers": "all", "reflect_drivers": "C:\\enc drivers", "bitlocker": "try-keep-active",
        "copy_logs": "C:\\Logs", "time_out": 90, "keep": "data",
    });
    let call = call(request, &one).unwrap();
    assert_eq!(
        call.command_line,
        "\"\\\\server\\media share\\win11\\setup.exe\" /Auto DataOnly /Quiet /NoReboot \
         /DynamicUpdate NoDriversNoLCU /Compat ScanOnly /Compat IgnoreWarning \
         /InstallDrivers %drivers01% /EULA Accept /MigrateDrivers All \
         /ReflectDrivers \"C:\\enc drivers\" /BitLocker TryKeepActive /CopyLogs C:\\Logs"
    );
    assert_eq!(call.arguments.len(), 22);
    assert_eq!(call.time_out, 90);
    assert_eq!(call.exit_codes[0].hex, "0xC1900210");
    assert!(call.notes.iter().any(|note| note.contains("0xC1900210")));
}

#[test]
fn what_no_device_can_do_is_refused() {
    let one = [image(1, "Professional", "26100.1742")];
    for wrong in [
        json!({"source": "relative"}),
        json!({"install_drivers": "C:\\a\" /x"}),
        json!({"reflect_drivers": ""}),
        json!({"time_out": 0}),
        json!({"time_out": 99999}),
    ] {
        assert!(call(wrong.clone(), &one).is_err(), "{wrong}");
    }
}
