// The header as a C++ program sees it: initial values, status types and linkage.

#include <shmkit.h>

#include <cstdio>
#include <cstring>

int main() {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    shmkit_region_options_t region_options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN;
    options.len = 16;
    shmkit_mapping_t *mapping = nullptr;
    shmkit_status_t status = shmkit_mapping_anonymous(&options, &mapping, &error);
    if (status == SHMKIT_OK) {
        status = shmkit_mapping_write_at(mapping, 0, "C++", 4, &error);
    }
    bool good = status == SHMKIT_OK && std::strcmp(static_cast<char *>(shmkit_mapping_data(mapping)), "C++") == 0;
    shmkit_mapping_free(mapping);

    shmkit_region_t *region = nullptr;
    region_options.flags = SHMKIT_REGION_PATH;
    switch (shmkit_region_open("/no/such/file", &region_options, &region, &error)) {
    case SHMKIT_NOT_FOUND:
        break;
    default:
        good = false;
    }
    std::puts(good ? "ok" : "failed");
    return good ? 0 : 1;
}
