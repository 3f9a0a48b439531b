/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A helper for each ioctl of a vIOMMU and for each mock operation behind it.
 * test_cmd_ helpers must succeed, test_err_ helpers must fail with the errno.
 */
#ifndef __SELFTEST_IOMMUFD_VIOMMU_UTILS
#define __SELFTEST_IOMMUFD_VIOMMU_UTILS

#include "iommufd_utils.h"

static int _test_cmd_viommu_alloc(int fd, __u32 device_id, __u32 hwpt_id,
				  __u32 type, void *data, __u32 data_len,
				  __u32 *viommu_id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = type,
		.dev_id = device_id,
		.hwpt_id = hwpt_id,
		.data_len = data_len,
		.data_uptr = (uintptr_t)data,
	};
	int ret;

	ret = ioctl(fd, IOMMU_VIOMMU_ALLOC, &cmd);
	if (ret)
		return ret;
	*viommu_id = cmd.out_viommu_id;
	return 0;
}

#define test_cmd_viommu_alloc(device_id, hwpt_id, viommu_id)                  \
	ASSERT_EQ(0, _test_cmd_viommu_alloc(self->fd, device_id, hwpt_id,     \
					    IOMMU_VIOMMU_TYPE_SELFTEST, NULL, \
					    0, viommu_id))
#define test_cmd_viommu_alloc_data(device_id, hwpt_id, data, data_len,        \
				   viommu_id)                                 \
	ASSERT_EQ(0, _test_cmd_viommu_alloc(self->fd, device_id, hwpt_id,     \
					    IOMMU_VIOMMU_TYPE_SELFTEST, data, \
					    data_len, viommu_id))
#define test_err_viommu_alloc(_errno, device_id, hwpt_id, type, data,         \
			      data_len)                                       \
	({                                                                    \
		__u32 _id;                                                    \
		EXPECT_ERRNO(_errno,                                          \
			     _test_cmd_viommu_alloc(self->fd, device_id,      \
						    hwpt_id, type, data,      \
						    data_len, &_id));         \
	})

static int _test_cmd_vdevice_alloc(int fd, __u32 viommu_id, __u32 device_id,
				   __u64 virt_id, __u32 *vdevice_id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.dev_id = device_id,
		.virt_id = virt_id,
	};
	int ret;

	ret = ioctl(fd, IOMMU_VDEVICE_ALLOC, &cmd);
	if (ret)
		return ret;
	*vdevice_id = cmd.out_vdevice_id;
	return 0;
}

#define test_cmd_vdevice_alloc(viommu_id, device_id, virt_id, vdevice_id)     \
	ASSERT_EQ(0, _test_cmd_vdevice_alloc(self->fd, viommu_id, device_id,  \
					     virt_id, vdevice_id))
#define test_err_vdevice_alloc(_errno, viommu_id, device_id, virt_id)         \
	({                                                                    \
		__u32 _id;                                                    \
		EXPECT_ERRNO(_errno,                                          \
			     _test_cmd_vdevice_alloc(self->fd, viommu_id,     \
						     device_id, virt_id,      \
						     &_id));                  \
	})

static int _test_cmd_veventq_alloc(int fd, __u32 viommu_id, __u32 type,
				   __u32 depth, __u32 *veventq_id,
				   int *veventq_fd)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.type = type,
		.veventq_depth = depth,
	};
	int ret;

	ret = ioctl(fd, IOMMU_VEVENTQ_ALLOC, &cmd);
	if (ret)
		return ret;
	*veventq_id = cmd.out_veventq_id;
	*veventq_fd = cmd.out_veventq_fd;
	return 0;
}

#define test_cmd_veventq_alloc(viommu_id, depth, veventq_id, veventq_fd)      \
	ASSERT_EQ(0, _test_cmd_veventq_alloc(self->fd, viommu_id,             \
					     IOMMU_VEVENTQ_TYPE_SELFTEST,     \
					     depth, veventq_id, veventq_fd))
#define test_err_veventq_alloc(_errno, viommu_id, type, depth)                \
	({                                                                    \
		__u32 _id;                                                    \
		int _fd;                                                      \
		EXPECT_ERRNO(_errno,                                          \
			     _test_cmd_veventq_alloc(self->fd, viommu_id,     \
						     type, depth, &_id,       \
						     &_fd));                  \
	})

static int _test_cmd_dev_check_cache(int fd, __u32 device_id, __u32 cache_id,
				     __u32 expected)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_DEV_CHECK_CACHE,
		.id = device_id,
		.check_dev_cache = {
			.id = cache_id,
			.cache = expected,
		},
	};

	return ioctl(fd, _IOMMU_TEST_CMD(IOMMU_TEST_OP_DEV_CHECK_CACHE), &cmd);
}

#define test_cmd_dev_check_cache(device_id, cache_id, expected)               \
	ASSERT_EQ(0, _test_cmd_dev_check_cache(self->fd, device_id, cache_id, \
					       expected))
#define test_err_dev_check_cache(_errno, device_id, cache_id, expected)       \
	EXPECT_ERRNO(_errno, _test_cmd_dev_check_cache(self->fd, device_id,   \
						       cache_id, expected))
#define test_cmd_dev_check_cache_all(device_id, expected)                     \
	({                                                                    \
		int _i;                                                       \
		for (_i = 0; _i < MOCK_DEV_CACHE_NUM; _i++)                   \
			test_cmd_dev_check_cache(device_id, _i, expected);    \
	})

static int _test_cmd_trigger_vevent(int fd, __u32 device_id)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_TRIGGER_VEVENT,
		.trigger_vevent = { .dev_id = device_id },
	};

	return ioctl(fd, _IOMMU_TEST_CMD(IOMMU_TEST_OP_TRIGGER_VEVENT), &cmd);
}

#define test_cmd_trigger_vevents(device_id, num)                              \
	({                                                                    \
		int _i;                                                       \
		for (_i = 0; _i < (num); _i++)                                \
			ASSERT_EQ(0, _test_cmd_trigger_vevent(self->fd,       \
							      device_id));    \
	})
#define test_err_trigger_vevent(_errno, device_id)                            \
	EXPECT_ERRNO(_errno, _test_cmd_trigger_vevent(self->fd, device_id))

#endif /* __SELFTEST_IOMMUFD_VIOMMU_UTILS */
