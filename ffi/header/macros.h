
// Initial values: the defaults, and the size that lets the structs grow.
#define SHMKIT_ERROR_INIT { sizeof(shmkit_error_t), SHMKIT_OK, 0, "", "", "" }
#define SHMKIT_REGION_OPTIONS_INIT { sizeof(shmkit_region_options_t), 0, 0, 0, 0, 0, 0 }
#define SHMKIT_MAP_OPTIONS_INIT { sizeof(shmkit_map_options_t), 0, SHMKIT_PROTECTION_READ, 0, 0, 0, 0, 0 }
#define SHMKIT_SEMAPHORE_OPTIONS_INIT { sizeof(shmkit_semaphore_options_t), 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 0 }
#define SHMKIT_POOL_OPTIONS_INIT { sizeof(shmkit_pool_options_t), 0, 0, 0 }
#define SHMKIT_POOL_STATUS_INIT { sizeof(shmkit_pool_status_t), 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_POOL_BLOCK_STATUS_INIT { sizeof(shmkit_pool_block_status_t), 0, 0, 0, 0, 0 }
#define SHMKIT_POOL_WORDS_INIT { sizeof(shmkit_pool_words_t), 0, 0, 0, {0}, {0}, 0, 0, 0, 0, 0 }
#define SHMKIT_VALUE_WORDS_INIT { sizeof(shmkit_value_words_t), 0, 0, 0, 0 }
#define SHMKIT_OBJECT_INFO_INIT { sizeof(shmkit_object_info_t), 0, 0, {0, 0}, 0, "" }
#define SHMKIT_SEGMENT_OPTIONS_INIT { sizeof(shmkit_segment_options_t), 0, 0, 0, 0 }
#define SHMKIT_SYSV_SEMAPHORE_OPTIONS_INIT { sizeof(shmkit_sysv_semaphore_options_t), 0, 0, 0, 0 }
#define SHMKIT_SYSV_SEGMENT_STATUS_INIT { sizeof(shmkit_sysv_segment_status_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_SYSV_SEMAPHORE_STATUS_INIT { sizeof(shmkit_sysv_semaphore_status_t), 0, 0, 0, 0, 0, 0 }
#define SHMKIT_WINDOW_OPTIONS_INIT { sizeof(shmkit_window_options_t), 0, SHMKIT_ADVICE_NORMAL, 0, 0, 0 }
#define SHMKIT_MEMORY_USE_INIT { sizeof(shmkit_memory_use_t), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_USAGE_INIT { sizeof(shmkit_usage_t), 0, 0, 0, 0 }
#define SHMKIT_WINDOW_STATS_INIT { sizeof(shmkit_window_stats_t), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_LOG_OPTIONS_INIT { sizeof(shmkit_log_options_t), 0, 0, 0, 0, 0, 0, 0, SHMKIT_DURABILITY_NONE, 0, 0 }
#define SHMKIT_LOG_RECORD_INIT { sizeof(shmkit_log_record_t), NULL, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_LOG_STATUS_INIT { sizeof(shmkit_log_status_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_LOG_VERIFIED_INIT { sizeof(shmkit_log_verified_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define SHMKIT_HEAP_OPTIONS_INIT { sizeof(shmkit_heap_options_t), 0, SHMKIT_HEAP_STRATEGY_BEST_FIT, 0, 0, 0 }
#define SHMKIT_HEAP_STATUS_INIT { sizeof(shmkit_heap_status_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
