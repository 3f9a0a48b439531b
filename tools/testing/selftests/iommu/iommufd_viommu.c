// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs, vDEVICEs, their invalidations and events, with the mock driver: what
 * iommufd itself does, on any processor. Everything refused is refused with its
 * errno and leaves nothing behind.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "iommufd_viommu_utils.h"

#define VDEV		0x99U
#define OTHER_VDEV	0xfedcba98U
#define NO_ID		0x7ffffff0U

#define TYPE_VIOMMU	IOMMU_VIOMMU_TYPE_SELFTEST
#define TYPE_VEVENTQ	IOMMU_VEVENTQ_TYPE_SELFTEST
#define TYPE_INV	IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST
#define UNTOUCHED	IOMMU_TEST_DEV_CACHE_DEFAULT

/* Limits of the ABI */
#define MAX_ENTRIES	0x80000U
#define MAX_DEPTH	0x80000U

struct record {
	struct iommu_vevent_header hdr;
	struct iommu_viommu_event_selftest event;
};

static_assert(sizeof(struct iommu_test_cmd) == 72, "test ABI");
static_assert(sizeof(struct iommu_viommu_selftest) == 24, "test ABI");
static_assert(sizeof(struct iommu_viommu_invalidate_selftest) == 12, "test ABI");
static_assert(sizeof(struct iommu_hwpt_selftest) == 8, "test ABI");
static_assert(sizeof(struct record) == 12, "test ABI");
static_assert(IOMMU_TEST_OP_DEV_CHECK_CACHE == 16, "test ABI");
static_assert(IOMMU_TEST_OP_TRIGGER_VEVENT == 17, "test ABI");

static __attribute__((constructor)) void setup_buffer(void)
{
	PAGE_SIZE = sysconf(_SC_PAGE_SIZE);
	BUFFER_SIZE = PAGE_SIZE * 16;
	buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(buffer != MAP_FAILED);
}

/* Two pages of memory, the second of which can't be touched */
static void *alloc_edge(void)
{
	void *mem = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(mem != MAP_FAILED);
	assert(!mprotect(mem + PAGE_SIZE, PAGE_SIZE, PROT_NONE));
	return mem;
}

static void free_edge(void *mem)
{
	munmap(mem, 2 * PAGE_SIZE);
}

/* An ioctl on a struct that it can read and not write */
static int ioctl_readonly(int fd, unsigned long nr, const void *cmd, size_t len)
{
	void *mem = alloc_edge();
	int saved, ret;

	memcpy(mem, cmd, len);
	assert(!mprotect(mem, PAGE_SIZE, PROT_READ));
	ret = ioctl(fd, nr, mem);
	saved = errno;
	free_edge(mem);
	errno = saved;
	return ret;
}

/* An IOAS, a device attached to it, a nest parent and a vIOMMU on that */
#define test_viommu_setup()                                                   \
	({                                                                    \
		self->fd = open("/dev/iommu", O_RDWR);                        \
		ASSERT_NE(-1, self->fd);                                      \
		test_ioctl_ioas_alloc(&self->ioas_id);                        \
		test_cmd_mock_domain(self->ioas_id, &self->stdev_id, NULL,    \
				     &self->device_id);                       \
		test_cmd_hwpt_alloc(self->device_id, self->ioas_id,           \
				    IOMMU_HWPT_ALLOC_NEST_PARENT,             \
				    &self->parent_id);                        \
		test_cmd_viommu_alloc(self->device_id, self->parent_id,       \
				      &self->viommu_id);                      \
	})

FIXTURE(viommu)
{
	int fd;
	__u32 ioas_id;
	__u32 stdev_id;
	__u32 device_id;
	__u32 parent_id;
	__u32 viommu_id;
};

FIXTURE_SETUP(viommu)
{
	test_viommu_setup();
}

FIXTURE_TEARDOWN(viommu)
{
	teardown_iommufd(self->fd, _metadata);
}

#define test_cmd_nested(viommu_id, hwpt_id)                                   \
	({                                                                    \
		struct iommu_hwpt_selftest _data = {                          \
			.iotlb = IOMMU_TEST_IOTLB_DEFAULT,                    \
		};                                                            \
		test_cmd_hwpt_alloc_nested(self->device_id, viommu_id, 0,     \
					   hwpt_id, IOMMU_HWPT_DATA_SELFTEST, \
					   &_data, sizeof(_data));            \
	})

#define test_err_destroy(_errno, id)                                          \
	EXPECT_ERRNO(_errno, _test_ioctl_destroy(self->fd, id))

TEST_F(viommu, alloc_refused)
{
	struct iommu_viommu_selftest data = {};
	const struct iommu_viommu_alloc good = {
		.size = sizeof(good),
		.type = TYPE_VIOMMU,
		.dev_id = self->device_id,
		.hwpt_id = self->parent_id,
	};
	struct {
		struct iommu_viommu_alloc cmd;
		__u64 future;
	} ext = {};
	struct iommu_viommu_alloc cmd;
	__u32 plain_id, nested_id;

	test_cmd_hwpt_alloc(self->device_id, self->ioas_id, 0, &plain_id);
	test_cmd_nested(self->viommu_id, &nested_id);

	/* In the order of the ABI: each with all that comes later wrong, too */
	cmd = (struct iommu_viommu_alloc){ .size = sizeof(cmd), .flags = 1,
					   .type = TYPE_VIOMMU,
					   .dev_id = NO_ID };
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	cmd = (struct iommu_viommu_alloc){ .size = sizeof(cmd),
					   .dev_id = NO_ID };
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	cmd = (struct iommu_viommu_alloc){ .size = sizeof(cmd),
					   .type = TYPE_VIOMMU,
					   .__reserved = 1, .dev_id = NO_ID };
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	test_err_viommu_alloc(ENOENT, NO_ID, NO_ID,
			      IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0);
	test_err_viommu_alloc(ENOENT, self->parent_id, self->parent_id,
			      TYPE_VIOMMU, NULL, 0);
	test_err_viommu_alloc(EOPNOTSUPP, self->device_id, NO_ID,
			      IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0);
	test_err_viommu_alloc(ENOENT, self->device_id, NO_ID, TYPE_VIOMMU,
			      &data, 1);
	test_err_viommu_alloc(ENOENT, self->device_id, self->ioas_id,
			      TYPE_VIOMMU, NULL, 0);
	test_err_viommu_alloc(ENOENT, self->device_id, nested_id, TYPE_VIOMMU,
			      NULL, 0);
	test_err_viommu_alloc(EINVAL, self->device_id, plain_id, TYPE_VIOMMU,
			      NULL, 0);

	/* The struct: its first version ends after out_viommu_id */
	cmd = good;
	cmd.size = offsetofend(struct iommu_viommu_alloc, out_viommu_id) - 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	ext.cmd = good;
	ext.cmd.size = sizeof(ext);
	ext.future = 1;
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &ext));
	EXPECT_ERRNO(EFAULT, ioctl_readonly(self->fd, IOMMU_VIOMMU_ALLOC, &good,
					    sizeof(good)));

	/* None of these holds the parent */
	test_ioctl_destroy(nested_id);
	test_ioctl_destroy(self->viommu_id);
	test_ioctl_destroy(self->parent_id);

	/* What has to work: short, and long with zeros */
	test_cmd_hwpt_alloc(self->device_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent_id);
	cmd = good;
	cmd.hwpt_id = self->parent_id;
	cmd.size = offsetofend(struct iommu_viommu_alloc, out_viommu_id);
	/* Beyond the end, thus not looked at */
	cmd.data_len = 1;
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	test_ioctl_destroy(cmd.out_viommu_id);
	ext.cmd.hwpt_id = self->parent_id;
	ext.future = 0;
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &ext));
	test_ioctl_destroy(ext.cmd.out_viommu_id);
}

TEST_F(viommu, alloc_data)
{
	struct {
		struct iommu_viommu_selftest data;
		__u32 future;
	} ext;
	struct iommu_viommu_selftest *edge;
	__u32 parent_id, id;
	void *mem;

	test_cmd_hwpt_alloc(self->device_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_NEST_PARENT, &parent_id);

	ext.data = (struct iommu_viommu_selftest){
		.in_data = 0xbeef,
		.out_data = 1,
		.out_mmap_offset = 2,
		.out_mmap_length = 3,
	};
	ext.future = 4;
	test_cmd_viommu_alloc_data(self->device_id, parent_id, &ext,
				   sizeof(ext.data), &id);
	ASSERT_EQ(0xbeef, ext.data.in_data);
	ASSERT_EQ(0xbeef, ext.data.out_data);
	ASSERT_EQ(0, ext.data.out_mmap_offset);
	ASSERT_EQ(0, ext.data.out_mmap_length);
	ASSERT_EQ(4, ext.future);
	test_ioctl_destroy(id);

	/* No length, no data */
	ext.data.out_data = 1;
	test_cmd_viommu_alloc_data(self->device_id, parent_id, &ext, 0, &id);
	ASSERT_EQ(1, ext.data.out_data);
	test_ioctl_destroy(id);

	test_err_viommu_alloc(E2BIG, self->device_id, parent_id, TYPE_VIOMMU,
			      &ext, sizeof(ext.data) + 1);
	test_err_viommu_alloc(EINVAL, self->device_id, parent_id, TYPE_VIOMMU,
			      &ext, sizeof(ext.data) - 1);
	test_err_viommu_alloc(EINVAL, self->device_id, parent_id, TYPE_VIOMMU,
			      &ext, 1);
	ASSERT_EQ(1, ext.data.out_data);
	ext.future = 0;
	test_cmd_viommu_alloc_data(self->device_id, parent_id, &ext,
				   sizeof(ext.data) + 1, &id);
	ASSERT_EQ(0xbeef, ext.data.out_data);
	test_ioctl_destroy(id);

	/* As long as a page and no longer, whatever is there */
	memset(buffer, 0, BUFFER_SIZE);
	test_cmd_viommu_alloc_data(self->device_id, parent_id, buffer,
				   PAGE_SIZE, &id);
	test_ioctl_destroy(id);
	test_err_viommu_alloc(E2BIG, self->device_id, parent_id, TYPE_VIOMMU,
			      buffer, PAGE_SIZE + 1);
	test_err_viommu_alloc(E2BIG, self->device_id, parent_id, TYPE_VIOMMU,
			      buffer, UINT32_MAX);

	/* Not to be read, half of it, and not to be written */
	mem = alloc_edge();
	edge = mem + PAGE_SIZE - 8;
	test_err_viommu_alloc(EFAULT, self->device_id, parent_id, TYPE_VIOMMU,
			      NULL, sizeof(*edge));
	test_err_viommu_alloc(EFAULT, self->device_id, parent_id, TYPE_VIOMMU,
			      edge, sizeof(*edge));
	ASSERT_EQ(0, mprotect(mem, PAGE_SIZE, PROT_READ));
	test_err_viommu_alloc(EFAULT, self->device_id, parent_id, TYPE_VIOMMU,
			      mem, sizeof(*edge));
	free_edge(mem);

	/* None of these holds the parent */
	test_ioctl_destroy(parent_id);
}

TEST_F(viommu, who_holds_whom)
{
	__u32 other_id, nested_id, vdevice_id, veventq_id;
	int veventq_fd;

	/* Two on one parent, which goes after the last */
	test_cmd_viommu_alloc(self->device_id, self->parent_id, &other_id);
	ASSERT_NE(other_id, self->viommu_id);
	test_err_destroy(EBUSY, self->parent_id);
	test_ioctl_destroy(other_id);
	test_err_destroy(EBUSY, self->parent_id);
	test_err_destroy(ENOENT, other_id);

	/* Each of these holds the vIOMMU */
	test_cmd_nested(self->viommu_id, &nested_id);
	test_err_destroy(EBUSY, self->viommu_id);
	test_ioctl_destroy(nested_id);

	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_err_destroy(EBUSY, self->viommu_id);
	test_ioctl_destroy(vdevice_id);

	test_cmd_veventq_alloc(self->viommu_id, 1, &veventq_id, &veventq_fd);
	test_err_destroy(EBUSY, self->viommu_id);
	ASSERT_EQ(0, close(veventq_fd));
	test_err_destroy(EBUSY, self->viommu_id);
	test_ioctl_destroy(veventq_id);

	test_ioctl_destroy(self->viommu_id);
	test_ioctl_destroy(self->parent_id);
}

/* All of them at once when the iommufd is closed, in the order of teardown */
TEST_F(viommu, close_everything)
{
	__u32 nested_id, vdevice_id, veventq_id;
	int veventq_fd;

	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_cmd_nested(self->viommu_id, &nested_id);
	test_cmd_mock_domain_replace(self->stdev_id, nested_id);
	test_cmd_veventq_alloc(self->viommu_id, 4, &veventq_id, &veventq_fd);
	test_cmd_trigger_vevents(self->device_id, 6);
	ASSERT_EQ(0, close(veventq_fd));
}

TEST_F(viommu, nested_refused)
{
	struct iommu_hwpt_selftest data[2] = {
		{ .iotlb = IOMMU_TEST_IOTLB_DEFAULT },
	};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->device_id,
		.pt_id = self->viommu_id,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data[0]),
		.data_uptr = (uintptr_t)data,
	};
	const __u32 bad_flags[] = {
		IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		1 << 3, 1U << 31,
	};
	__u32 id, vdevice_id;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_flags); i++)
		test_err_hwpt_alloc_nested(EOPNOTSUPP, self->device_id,
					   self->viommu_id, bad_flags[i], &id,
					   IOMMU_HWPT_DATA_SELFTEST, data,
					   sizeof(data[0]));
	test_err_hwpt_alloc(EOPNOTSUPP, self->device_id, self->viommu_id, 0,
			    &id);
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, self->viommu_id, 0,
				   &id, IOMMU_HWPT_DATA_NONE, data,
				   sizeof(data[0]));
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, self->viommu_id, 0,
				   &id, IOMMU_HWPT_DATA_SELFTEST, data, 0);
	test_err_hwpt_alloc_nested(EOPNOTSUPP, self->device_id,
				   self->viommu_id, 0, &id,
				   IOMMU_HWPT_DATA_ARM_SMMUV3, data,
				   sizeof(data[0]));
	test_err_hwpt_alloc_iopf(ENOENT, self->device_id, self->viommu_id,
				 NO_ID, IOMMU_HWPT_FAULT_ID_VALID, &id,
				 IOMMU_HWPT_DATA_SELFTEST, data,
				 sizeof(data[0]));
	test_err_hwpt_alloc_nested(ENOENT, NO_ID, self->viommu_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, data,
				   sizeof(data[0]));

	/* Neither a vDEVICE nor another nested HWPT is a place to nest */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, vdevice_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, data,
				   sizeof(data[0]));
	test_ioctl_destroy(vdevice_id);

	/* The blob: its first version is the first word */
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, self->viommu_id, 0,
				   &id, IOMMU_HWPT_DATA_SELFTEST, data, 3);
	data[0].pagetable_type = 1;
	test_err_hwpt_alloc_nested(EOPNOTSUPP, self->device_id,
				   self->viommu_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, data,
				   sizeof(data[0]));
	test_cmd_hwpt_alloc_nested(self->device_id, self->viommu_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, data, 4);
	test_cmd_hwpt_check_iotlb_all(id, IOMMU_TEST_IOTLB_DEFAULT);
	test_ioctl_destroy(id);
	data[0].pagetable_type = 0;
	data[1].iotlb = 1;
	test_err_hwpt_alloc_nested(E2BIG, self->device_id, self->viommu_id, 0,
				   &id, IOMMU_HWPT_DATA_SELFTEST, data,
				   sizeof(data[0]) + 1);
	data[1].iotlb = 0;
	test_cmd_hwpt_alloc_nested(self->device_id, self->viommu_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, data,
				   sizeof(data));
	test_ioctl_destroy(id);
	test_err_hwpt_alloc_nested(E2BIG, self->device_id, self->viommu_id, 0,
				   &id, IOMMU_HWPT_DATA_SELFTEST, buffer,
				   PAGE_SIZE + 1);
	test_err_hwpt_alloc_nested(EFAULT, self->device_id, self->viommu_id, 0,
				   &id, IOMMU_HWPT_DATA_SELFTEST, NULL,
				   sizeof(data[0]));
	EXPECT_ERRNO(EFAULT, ioctl_readonly(self->fd, IOMMU_HWPT_ALLOC, &cmd,
					    sizeof(cmd)));
	cmd.__reserved = 1;
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_HWPT_ALLOC, &cmd));

	/* None of these holds the vIOMMU */
	test_ioctl_destroy(self->viommu_id);
}

TEST_F(viommu, nested_attach)
{
	struct iommu_hwpt_invalidate_selftest inv = { .iotlb_id = 2 };
	__u32 nested_id, second_id, vdevice_id, num;

	test_cmd_nested(self->viommu_id, &nested_id);
	test_cmd_nested(self->viommu_id, &second_id);

	/* Without a vDEVICE the device stays where it is */
	test_err_mock_domain_replace(ENOENT, self->stdev_id, nested_id);
	test_ioctl_destroy(nested_id);
	test_cmd_nested(self->viommu_id, &nested_id);

	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_cmd_mock_domain_replace(self->stdev_id, nested_id);
	test_err_destroy(EBUSY, nested_id);
	test_cmd_mock_domain_replace(self->stdev_id, second_id);
	test_ioctl_destroy(nested_id);

	/* An attached HWPT does not hold the vDEVICE */
	test_ioctl_destroy(vdevice_id);
	test_err_destroy(EBUSY, second_id);

	/* Nor to stay where it is: that the way back is refused is a WARN */
	test_cmd_nested(self->viommu_id, &nested_id);
	test_err_mock_domain_replace(ENOENT, self->stdev_id, nested_id);
	test_ioctl_destroy(nested_id);
	test_err_destroy(EBUSY, second_id);

	/* It is an ordinary nested HWPT of the mock driver otherwise */
	num = 1;
	test_cmd_hwpt_invalidate(second_id, &inv,
				 IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
				 sizeof(inv), &num);
	ASSERT_EQ(1, num);
	test_cmd_hwpt_check_iotlb(second_id, 1, IOMMU_TEST_IOTLB_DEFAULT);
	test_cmd_hwpt_check_iotlb(second_id, 2, 0);

	test_cmd_mock_domain_replace(self->stdev_id, self->ioas_id);
	test_ioctl_destroy(second_id);
	test_ioctl_destroy(self->viommu_id);
}

TEST_F(viommu, nested_iopf)
{
	struct iommu_hwpt_selftest data = { .iotlb = 1 };
	__u32 fault_id, fault_fd, nested_id, vdevice_id;

	test_ioctl_fault_alloc(&fault_id, &fault_fd);
	test_cmd_hwpt_alloc_iopf(self->device_id, self->viommu_id, fault_id,
				 IOMMU_HWPT_FAULT_ID_VALID, &nested_id,
				 IOMMU_HWPT_DATA_SELFTEST, &data, sizeof(data));
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_cmd_mock_domain_replace(self->stdev_id, nested_id);
	test_cmd_trigger_iopf(self->device_id, fault_fd);
	test_err_destroy(EBUSY, fault_id);
	test_cmd_mock_domain_replace(self->stdev_id, self->ioas_id);
	test_ioctl_destroy(nested_id);
	ASSERT_EQ(0, close(fault_fd));
	test_ioctl_destroy(fault_id);
}

TEST_F(viommu, vdevice_refused)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu_id,
		.dev_id = self->device_id,
		.virt_id = VDEV,
	};
	__u32 stdev2_id, device2_id, viommu2_id, vdevice_id, vdevice2_id;

	test_cmd_mock_domain(self->ioas_id, &stdev2_id, NULL, &device2_id);
	test_cmd_viommu_alloc(self->device_id, self->parent_id, &viommu2_id);

	test_err_vdevice_alloc(ENOENT, NO_ID, self->device_id, VDEV);
	test_err_vdevice_alloc(ENOENT, self->parent_id, self->device_id, VDEV);
	test_err_vdevice_alloc(ENOENT, self->viommu_id, NO_ID, VDEV);
	test_err_vdevice_alloc(ENOENT, self->viommu_id, self->stdev_id, VDEV);
	test_err_vdevice_alloc(EINVAL, self->viommu_id, self->device_id,
			       1ULL << 32);
	EXPECT_ERRNO(EFAULT, ioctl_readonly(self->fd, IOMMU_VDEVICE_ALLOC, &cmd,
					    sizeof(cmd)));

	/* All of 32 bits, and nothing is left of what was refused */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, UINT32_MAX,
			       &vdevice_id);
	test_ioctl_destroy(vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, 0,
			       &vdevice_id);
	test_ioctl_destroy(vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);

	/* One per device, on whatever vIOMMU */
	test_err_vdevice_alloc(EEXIST, self->viommu_id, self->device_id, VDEV);
	test_err_vdevice_alloc(EEXIST, self->viommu_id, self->device_id,
			       OTHER_VDEV);
	test_err_vdevice_alloc(EEXIST, viommu2_id, self->device_id, VDEV);
	/* One device per name, on each vIOMMU */
	test_err_vdevice_alloc(EEXIST, self->viommu_id, device2_id, VDEV);
	test_cmd_vdevice_alloc(viommu2_id, device2_id, VDEV, &vdevice2_id);
	test_ioctl_destroy(vdevice2_id);
	test_cmd_vdevice_alloc(self->viommu_id, device2_id, OTHER_VDEV,
			       &vdevice2_id);

	/* The device is held by its driver, whether or not it has a vDEVICE */
	test_err_destroy(EBUSY, device2_id);
	test_ioctl_destroy(vdevice2_id);
	test_err_destroy(ENOENT, vdevice2_id);
	test_ioctl_destroy(vdevice_id);
	test_ioctl_destroy(viommu2_id);
	test_ioctl_destroy(self->viommu_id);
}

/* A device that leaves takes its vDEVICE with it, and nothing gets its id */
TEST_F(viommu, vdevice_tombstone)
{
	__u32 stdev2_id, device2_id, vdevice_id, vdevice2_id, veventq_id;
	struct iommu_hwpt_selftest data = {};
	__u32 ioas_id, nested_id, id;
	bool reused = false;
	int veventq_fd;
	int i;

	test_cmd_mock_domain(self->ioas_id, &stdev2_id, NULL, &device2_id);
	test_cmd_nested(self->viommu_id, &nested_id);
	test_cmd_veventq_alloc(self->viommu_id, 4, &veventq_id, &veventq_fd);

	test_cmd_vdevice_alloc(self->viommu_id, device2_id, VDEV, &vdevice_id);
	test_cmd_mock_domain_replace(stdev2_id, nested_id);
	test_err_vdevice_alloc(EEXIST, self->viommu_id, self->device_id, VDEV);
	test_cmd_trigger_vevents(device2_id, 1);
	test_ioctl_destroy(stdev2_id);

	/* The device is gone */
	test_err_vdevice_alloc(ENOENT, self->viommu_id, device2_id, VDEV);
	test_err_trigger_vevent(ENOENT, device2_id);

	/* There is nothing under the id, for whatever purpose */
	test_err_destroy(ENOENT, vdevice_id);
	test_err_vdevice_alloc(ENOENT, vdevice_id, self->device_id, VDEV);
	test_err_veventq_alloc(ENOENT, vdevice_id, TYPE_VEVENTQ, 1);
	test_err_viommu_alloc(ENOENT, self->device_id, vdevice_id, TYPE_VIOMMU,
			      NULL, 0);
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, vdevice_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, &data,
				   sizeof(data));

	/* Other ids of the device are used again, this one is not */
	for (i = 0; i < 8; i++) {
		test_ioctl_ioas_alloc(&ioas_id);
		ASSERT_NE(vdevice_id, ioas_id);
		reused |= ioas_id == device2_id || ioas_id == stdev2_id;
	}
	ASSERT_TRUE(reused);

	/* The name is free, and nothing holds the HWPT or the vIOMMU */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice2_id);
	ASSERT_NE(vdevice_id, vdevice2_id);
	test_ioctl_destroy(vdevice2_id);
	test_ioctl_destroy(nested_id);
	ASSERT_EQ(0, close(veventq_fd));
	test_ioctl_destroy(veventq_id);
	test_ioctl_destroy(self->viommu_id);
}

/* One that user space destroys leaves its id to others */
TEST_F(viommu, vdevice_no_tombstone)
{
	__u32 stdev2_id, device2_id, vdevice_id, ioas_id;
	bool reused = false;
	int i;

	test_cmd_mock_domain(self->ioas_id, &stdev2_id, NULL, &device2_id);
	test_cmd_vdevice_alloc(self->viommu_id, device2_id, VDEV, &vdevice_id);
	test_ioctl_destroy(vdevice_id);
	test_ioctl_destroy(stdev2_id);
	for (i = 0; i < 8; i++) {
		test_ioctl_ioas_alloc(&ioas_id);
		reused |= ioas_id == vdevice_id;
	}
	ASSERT_TRUE(reused);
}

#define test_cmd_invalidate(invs, len, num)                                   \
	({                                                                    \
		__u32 _num = (num), _done = _num;                             \
		test_cmd_hwpt_invalidate(self->viommu_id, invs, TYPE_INV,     \
					 len, &_done);                        \
		ASSERT_EQ(_num, _done);                                       \
	})
#define test_err_invalidate(_errno, id, invs, type, len, num, done)           \
	({                                                                    \
		__u32 _num = (num);                                           \
		test_err_hwpt_invalidate(_errno, id, invs, type, len, &_num); \
		EXPECT_EQ(done, _num);                                        \
	})

TEST_F(viommu, invalidate)
{
	struct iommu_viommu_invalidate_selftest inv = { .vdev_id = VDEV };
	__u32 stdev2_id, device2_id, vdevice_id, vdevice2_id;

	test_cmd_mock_domain(self->ioas_id, &stdev2_id, NULL, &device2_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, device2_id, OTHER_VDEV,
			       &vdevice2_id);
	test_cmd_dev_check_cache_all(self->device_id, UNTOUCHED);

	inv.cache_id = 2;
	test_cmd_invalidate(&inv, sizeof(inv), 1);
	test_cmd_dev_check_cache(self->device_id, 0, UNTOUCHED);
	test_cmd_dev_check_cache(self->device_id, 1, UNTOUCHED);
	test_cmd_dev_check_cache(self->device_id, 2, 0);
	test_cmd_dev_check_cache(self->device_id, 3, UNTOUCHED);
	test_cmd_dev_check_cache_all(device2_id, UNTOUCHED);

	inv.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL;
	inv.vdev_id = OTHER_VDEV;
	test_cmd_invalidate(&inv, sizeof(inv), 1);
	test_cmd_dev_check_cache_all(device2_id, 0);
	test_cmd_dev_check_cache(self->device_id, 3, UNTOUCHED);

	/* Under the name that the device has now */
	test_ioctl_destroy(vdevice2_id);
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV,
			    sizeof(inv), 1, 0);
	test_ioctl_destroy(vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, OTHER_VDEV,
			       &vdevice_id);
	test_cmd_invalidate(&inv, sizeof(inv), 1);
	test_cmd_dev_check_cache_all(self->device_id, 0);

	/* What is checked can be told from what is not */
	test_err_dev_check_cache(EINVAL, self->device_id, 0, 1);
	test_err_dev_check_cache(EINVAL, self->device_id, MOCK_DEV_CACHE_NUM,
				 0);
	test_err_dev_check_cache(ENOENT, NO_ID, 0, 0);
}

TEST_F(viommu, invalidate_refused)
{
	struct iommu_viommu_invalidate_selftest inv = { .vdev_id = VDEV };
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = self->viommu_id,
		.data_uptr = (uintptr_t)&inv,
		.data_type = TYPE_INV,
		.entry_len = sizeof(inv),
		.entry_num = 1,
		.__reserved = 1,
	};
	void *mem = alloc_edge();
	__u32 vdevice_id, num;

	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);

	/* Nothing to do asks whether there is such a type */
	num = 0;
	test_cmd_hwpt_invalidate(self->viommu_id, NULL, TYPE_INV, 0, &num);
	ASSERT_EQ(0, num);
	test_err_invalidate(EINVAL, self->viommu_id, NULL,
			    IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID, 0, 0,
			    0);
	test_err_invalidate(EINVAL, self->viommu_id, &inv,
			    IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID,
			    sizeof(inv), 1, 0);

	test_err_invalidate(EINVAL, self->viommu_id, NULL, TYPE_INV,
			    sizeof(inv), 1, 0);
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV, 0, 1, 0);
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV,
			    PAGE_SIZE + 1, 1, 0);
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV,
			    sizeof(inv), MAX_ENTRIES + 1, 0);
	/* The most that is allowed gets as far as to be read */
	test_err_invalidate(EFAULT, self->viommu_id, mem + PAGE_SIZE, TYPE_INV,
			    sizeof(inv), MAX_ENTRIES, 0);
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);

	test_err_invalidate(ENOENT, NO_ID, &inv, TYPE_INV, sizeof(inv), 1, 0);
	test_err_invalidate(EINVAL, vdevice_id, &inv, TYPE_INV, sizeof(inv), 1,
			    0);
	test_err_invalidate(EINVAL, self->ioas_id, &inv, TYPE_INV, sizeof(inv),
			    1, 0);
	test_err_invalidate(ENOENT, self->parent_id, &inv, TYPE_INV,
			    sizeof(inv), 1, 0);

	inv.vdev_id = OTHER_VDEV;
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV,
			    sizeof(inv), 1, 0);
	inv.vdev_id = VDEV;
	inv.cache_id = MOCK_DEV_CACHE_ID_MAX + 1;
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV,
			    sizeof(inv), 1, 0);
	inv.cache_id = 0;
	inv.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL << 1;
	test_err_invalidate(EOPNOTSUPP, self->viommu_id, &inv, TYPE_INV,
			    sizeof(inv), 1, 0);
	test_cmd_dev_check_cache_all(self->device_id, UNTOUCHED);

	/* What was done is not reported to nowhere */
	cmd.__reserved = 0;
	EXPECT_ERRNO(EFAULT, ioctl_readonly(self->fd, IOMMU_HWPT_INVALIDATE,
					    &cmd, sizeof(cmd)));
	free_edge(mem);
}

TEST_F(viommu, invalidate_entry_len)
{
	struct {
		struct iommu_viommu_invalidate_selftest inv;
		__u32 future;
	} ext[3] = {
		{ .inv = { .vdev_id = VDEV, .cache_id = 1 } },
		{ .inv = { .vdev_id = VDEV, .cache_id = 2 } },
		{ .inv = { .vdev_id = VDEV, .cache_id = 3 } },
	};
	__u32 vdevice_id;

	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);

	/* Longer: what the kernel does not know is 0, up to there it is done */
	ext[1].future = 1;
	test_err_invalidate(E2BIG, self->viommu_id, ext, TYPE_INV,
			    sizeof(ext[0]), 3, 1);
	test_cmd_dev_check_cache(self->device_id, 1, 0);
	test_cmd_dev_check_cache(self->device_id, 2, UNTOUCHED);
	ext[1].future = 0;
	test_cmd_invalidate(ext, sizeof(ext[0]), 2);
	test_cmd_dev_check_cache(self->device_id, 2, 0);
	test_cmd_dev_check_cache(self->device_id, 3, UNTOUCHED);

	/* Shorter: the rest is 0, here the index */
	test_cmd_dev_check_cache(self->device_id, 0, UNTOUCHED);
	test_cmd_invalidate(&ext[2], 8, 1);
	test_cmd_dev_check_cache(self->device_id, 0, 0);
	test_cmd_dev_check_cache(self->device_id, 3, UNTOUCHED);

	/* The longest */
	memset(buffer, 0, BUFFER_SIZE);
	memcpy(buffer, &ext[2], sizeof(ext[2].inv));
	test_cmd_invalidate(buffer, PAGE_SIZE, 1);
	test_cmd_dev_check_cache(self->device_id, 3, 0);
}

/* What is done is told to the entry, wherever in a long request it ends */
TEST_F(viommu, invalidate_exact)
{
	static const unsigned int fail_at[] = { 0, 1, 7, 8, 9, 16, 99 };
	struct iommu_viommu_invalidate_selftest *invs;
	const unsigned int num = 100;
	__u32 stdev_id, device_id, vdevice_id;
	unsigned int i, k, how;
	void *mem;

	mem = alloc_edge();
	for (how = 0; how < 3; how++) {
		for (k = 0; k < ARRAY_SIZE(fail_at); k++) {
			const unsigned int bad = fail_at[k];
			int err = EINVAL;

			/* Its caches are as new */
			test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL,
					     &device_id);
			test_cmd_vdevice_alloc(self->viommu_id, device_id, VDEV,
					       &vdevice_id);

			/* 0 before, 1 by the last good one, 2 after the bad */
			invs = mem;
			if (how == 2)
				invs = mem + PAGE_SIZE - bad * sizeof(*invs);
			for (i = 0; i < (how == 2 ? bad : num); i++)
				invs[i] = (struct iommu_viommu_invalidate_selftest){
					.vdev_id = VDEV,
					.cache_id = i + 1 == bad ? 1 :
						    i < bad ? 0 : 2,
				};
			if (how == 0) {
				invs[bad].vdev_id = OTHER_VDEV;
			} else if (how == 1) {
				invs[bad].flags = 2;
				err = EOPNOTSUPP;
			} else {
				err = EFAULT;
			}
			test_err_invalidate(err, self->viommu_id, invs,
					    TYPE_INV, sizeof(*invs), num, bad);
			test_cmd_dev_check_cache(device_id, 0,
						 bad > 1 ? 0 : UNTOUCHED);
			test_cmd_dev_check_cache(device_id, 1,
						 bad > 0 ? 0 : UNTOUCHED);
			test_cmd_dev_check_cache(device_id, 2, UNTOUCHED);
			test_ioctl_destroy(vdevice_id);
			test_ioctl_destroy(stdev_id);
		}
	}

	/* None is bad */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	invs = mem;
	for (i = 0; i < num; i++)
		invs[i] = (struct iommu_viommu_invalidate_selftest){
			.vdev_id = VDEV,
			.cache_id = i + 1 == num,
		};
	test_cmd_invalidate(invs, sizeof(*invs), num);
	test_cmd_dev_check_cache(self->device_id, 0, 0);
	test_cmd_dev_check_cache(self->device_id, 1, 0);
	test_cmd_dev_check_cache(self->device_id, 2, UNTOUCHED);
	free_edge(mem);
}

TEST_F(viommu, unknown_test_ops)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.id = self->device_id,
	};

	for (cmd.op = 18; cmd.op <= 23; cmd.op++)
		EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_TEST_CMD, &cmd));
}

/* The fixture above and a queue on the vIOMMU, and a vDEVICE */
FIXTURE(veventq)
{
	int fd;
	__u32 ioas_id;
	__u32 stdev_id;
	__u32 device_id;
	__u32 parent_id;
	__u32 viommu_id;
	__u32 vdevice_id;
	__u32 veventq_id;
	int veventq_fd;
};

#define DEPTH	4

FIXTURE_SETUP(veventq)
{
	test_viommu_setup();
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &self->vdevice_id);
	test_cmd_veventq_alloc(self->viommu_id, DEPTH, &self->veventq_id,
			       &self->veventq_fd);
}

FIXTURE_TEARDOWN(veventq)
{
	if (self->veventq_fd >= 0)
		close(self->veventq_fd);
	teardown_iommufd(self->fd, _metadata);
}

static short poll_fd(int fd, int msec)
{
	struct pollfd pfd = { .fd = fd, .events = ~POLLNVAL };

	return poll(&pfd, 1, msec) < 0 ? -errno : pfd.revents;
}

#define test_readable()                                                       \
	ASSERT_EQ(POLLIN | POLLRDNORM, poll_fd(self->veventq_fd, 0))
#define test_empty()                                                          \
	({                                                                    \
		struct record _record;                                        \
		ASSERT_EQ(0, poll_fd(self->veventq_fd, 0));                   \
		ASSERT_EQ(0, read(self->veventq_fd, &_record,                 \
				  sizeof(_record)));                          \
	})
#define test_is_event(rec, seq, id)                                           \
	({                                                                    \
		const struct record *_event = (rec);                          \
		ASSERT_EQ(0, _event->hdr.flags);                              \
		ASSERT_EQ(seq, _event->hdr.sequence);                         \
		ASSERT_EQ(id, _event->event.virt_id);                         \
	})
#define test_is_lost(rec, seq)                                                \
	({                                                                    \
		const struct iommu_vevent_header *_hdr = &(rec)->hdr;         \
		ASSERT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, _hdr->flags);       \
		ASSERT_EQ(seq, _hdr->sequence);                               \
	})
/* Exactly this one */
#define test_read_event(seq, id)                                              \
	({                                                                    \
		struct record _record;                                        \
		ASSERT_EQ(sizeof(_record), read(self->veventq_fd, &_record,   \
						sizeof(_record)));            \
		test_is_event(&_record, seq, id);                             \
	})

TEST_F(veventq, alloc_refused)
{
	const struct iommu_veventq_alloc good = {
		.size = sizeof(good),
		.viommu_id = self->viommu_id,
		.type = TYPE_VEVENTQ,
		.veventq_depth = 1,
	};
	struct iommu_veventq_alloc cmd;
	struct rlimit saved, none = {};
	int next;

	/* In the order of the ABI: each with all that comes later wrong, too */
	cmd = (struct iommu_veventq_alloc){ .size = sizeof(cmd), .flags = 1,
					    .type = TYPE_VEVENTQ };
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd = (struct iommu_veventq_alloc){ .size = sizeof(cmd),
					    .type = TYPE_VEVENTQ,
					    .__reserved = 1 };
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	test_err_veventq_alloc(EOPNOTSUPP, NO_ID, 0, 0);
	test_err_veventq_alloc(EINVAL, NO_ID, TYPE_VEVENTQ, 0);
	test_err_veventq_alloc(EINVAL, NO_ID, TYPE_VEVENTQ, MAX_DEPTH + 1);
	test_err_veventq_alloc(ENOENT, NO_ID, TYPE_VEVENTQ, MAX_DEPTH);
	test_err_veventq_alloc(ENOENT, self->parent_id, TYPE_VEVENTQ, 1);
	test_err_veventq_alloc(EOPNOTSUPP, self->viommu_id,
			       IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1);
	test_err_veventq_alloc(EEXIST, self->viommu_id, TYPE_VEVENTQ, 1);

	/* The queue that is there has not suffered */
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(0, VDEV);
	ASSERT_EQ(0, close(self->veventq_fd));
	self->veventq_fd = -1;
	test_ioctl_destroy(self->veventq_id);

	/* No descriptor: EMFILE, and no queue is left that would be in the way */
	next = dup(self->fd);
	ASSERT_NE(-1, next);
	ASSERT_EQ(0, close(next));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &saved));
	none.rlim_cur = next;
	none.rlim_max = saved.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	test_err_veventq_alloc(EMFILE, self->viommu_id, TYPE_VEVENTQ, 1);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &saved));
	EXPECT_ERRNO(EFAULT, ioctl_readonly(self->fd, IOMMU_VEVENTQ_ALLOC,
					    &good, sizeof(good)));
	test_err_trigger_vevent(ENOENT, self->device_id);

	/* Neither a queue nor a descriptor is left; the deepest one works */
	cmd = good;
	cmd.veventq_depth = MAX_DEPTH;
	cmd.size = offsetofend(struct iommu_veventq_alloc, out_veventq_fd);
	/* Beyond the end */
	cmd.__reserved = 1;
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	ASSERT_EQ(next, cmd.out_veventq_fd);
	self->veventq_fd = cmd.out_veventq_fd;
}

TEST_F(veventq, file)
{
	char path[64], name[64] = {};
	struct record record;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->veventq_fd);
	ASSERT_LT(0, readlink(path, name, sizeof(name) - 1));
	ASSERT_STREQ("anon_inode:[iommufd-viommu-event]", name);
	ASSERT_EQ(FD_CLOEXEC, fcntl(self->veventq_fd, F_GETFD));
	ASSERT_EQ(O_RDWR, fcntl(self->veventq_fd, F_GETFL) & O_ACCMODE);

	test_cmd_trigger_vevents(self->device_id, 1);
	EXPECT_ERRNO(EINVAL, write(self->veventq_fd, &record, sizeof(record)));
	EXPECT_ERRNO(ESPIPE, lseek(self->veventq_fd, 0, SEEK_SET));
	EXPECT_ERRNO(ESPIPE, pread(self->veventq_fd, &record, sizeof(record),
				   1));
	test_read_event(0, VDEV);
}

TEST_F(veventq, read)
{
	struct record records[DEPTH];
	int flags;

	/* Never blocks, whatever O_NONBLOCK says */
	test_empty();
	flags = fcntl(self->veventq_fd, F_GETFL);
	ASSERT_EQ(0, fcntl(self->veventq_fd, F_SETFL, flags | O_NONBLOCK));
	test_empty();
	EXPECT_ERRNO(EINVAL, read(self->veventq_fd, records,
				  sizeof(records[0].hdr) - 1));

	/* Too short for the record, which stays */
	test_cmd_trigger_vevents(self->device_id, 1);
	test_readable();
	EXPECT_ERRNO(EINVAL, read(self->veventq_fd, records,
				  sizeof(records[0].hdr)));
	EXPECT_ERRNO(EINVAL, read(self->veventq_fd, records,
				  sizeof(records[0]) - 1));
	test_readable();
	test_read_event(0, VDEV);
	test_empty();

	/* As many as fit and no part of one */
	test_cmd_trigger_vevents(self->device_id, 3);
	ASSERT_EQ(2 * sizeof(records[0]),
		  read(self->veventq_fd, records, 3 * sizeof(records[0]) - 1));
	test_is_event(&records[0], 1, VDEV);
	test_is_event(&records[1], 2, VDEV);
	test_readable();
	test_cmd_trigger_vevents(self->device_id, 1);
	ASSERT_EQ(2 * sizeof(records[0]),
		  read(self->veventq_fd, records, sizeof(records)));
	test_is_event(&records[0], 3, VDEV);
	test_is_event(&records[1], 4, VDEV);
	test_empty();
}

TEST_F(veventq, read_fault)
{
	void *mem = alloc_edge();
	struct record *edge;

	test_cmd_trigger_vevents(self->device_id, 3);

	/* Not even the first, or a part of it: nothing is lost */
	EXPECT_ERRNO(EFAULT, read(self->veventq_fd, mem + PAGE_SIZE,
				  3 * sizeof(*edge)));
	EXPECT_ERRNO(EFAULT, read(self->veventq_fd, mem + PAGE_SIZE - 4,
				  3 * sizeof(*edge)));
	test_readable();

	/* One and a half */
	edge = mem + PAGE_SIZE - sizeof(*edge) - 6;
	ASSERT_EQ(sizeof(*edge),
		  read(self->veventq_fd, edge, 3 * sizeof(*edge)));
	test_is_event(edge, 0, VDEV);
	test_read_event(1, VDEV);
	test_read_event(2, VDEV);
	test_empty();

	/* The notice of a loss is as safe */
	test_cmd_trigger_vevents(self->device_id, DEPTH + 1);
	edge = mem + PAGE_SIZE - DEPTH * sizeof(*edge);
	ASSERT_EQ(DEPTH * sizeof(*edge),
		  read(self->veventq_fd, edge, PAGE_SIZE));
	EXPECT_ERRNO(EFAULT, read(self->veventq_fd, mem + PAGE_SIZE, 8));
	test_readable();
	edge = mem;
	ASSERT_EQ(sizeof(edge->hdr),
		  read(self->veventq_fd, edge, sizeof(edge->hdr)));
	test_is_lost(edge, 3 + DEPTH);
	test_empty();
	free_edge(mem);
}

TEST_F(veventq, overflow)
{
	struct record records[DEPTH + 2];
	int i;

	/* One record for three that are lost, behind those that are not */
	test_cmd_trigger_vevents(self->device_id, DEPTH + 3);
	ASSERT_EQ(DEPTH * sizeof(records[0]) + sizeof(records[0].hdr),
		  read(self->veventq_fd, records, sizeof(records)));
	for (i = 0; i < DEPTH; i++)
		test_is_event(&records[i], i, VDEV);
	test_is_lost(&records[DEPTH], DEPTH + 2);
	test_empty();

	/* Its number is not used again */
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(DEPTH + 3, VDEV);

	/* With an event behind it the gap tells: DEPTH + 8 is lost */
	test_cmd_trigger_vevents(self->device_id, DEPTH + 1);
	test_read_event(DEPTH + 4, VDEV);
	test_cmd_trigger_vevents(self->device_id, 1);
	ASSERT_EQ(DEPTH * sizeof(records[0]),
		  read(self->veventq_fd, records, sizeof(records)));
	for (i = 0; i < DEPTH - 1; i++)
		test_is_event(&records[i], DEPTH + 5 + i, VDEV);
	test_is_event(&records[DEPTH - 1], DEPTH + 9, VDEV);
	test_empty();
}

/* Who waits is woken */
TEST_F(veventq, poll)
{
	int status;
	pid_t pid;

	test_empty();
	pid = fork();
	ASSERT_NE(-1, pid);
	if (!pid) {
		usleep(200000);
		_exit(_test_cmd_trigger_vevent(self->fd, self->device_id));
	}
	ASSERT_EQ(POLLIN | POLLRDNORM, poll_fd(self->veventq_fd, 20000));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	test_read_event(0, VDEV);
	test_empty();
}

/* An event goes by what the device is to the guest when it happens */
TEST_F(veventq, vdevice)
{
	__u32 viommu2_id, veventq2_id;
	struct record record;
	int veventq2_fd;

	test_cmd_trigger_vevents(self->device_id, 1);
	test_ioctl_destroy(self->vdevice_id);
	test_err_trigger_vevent(ENOENT, self->device_id);
	test_err_trigger_vevent(ENOENT, NO_ID);
	test_read_event(0, VDEV);
	test_empty();

	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, OTHER_VDEV,
			       &self->vdevice_id);
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(1, OTHER_VDEV);

	/* On another vIOMMU: without a queue there, and with one */
	test_ioctl_destroy(self->vdevice_id);
	test_cmd_viommu_alloc(self->device_id, self->parent_id, &viommu2_id);
	test_cmd_vdevice_alloc(viommu2_id, self->device_id, VDEV,
			       &self->vdevice_id);
	test_err_trigger_vevent(ENOENT, self->device_id);
	test_cmd_veventq_alloc(viommu2_id, 1, &veventq2_id, &veventq2_fd);
	test_cmd_trigger_vevents(self->device_id, 1);
	test_empty();
	ASSERT_EQ(sizeof(record), read(veventq2_fd, &record, sizeof(record)));
	test_is_event(&record, 0, VDEV);
	ASSERT_EQ(0, close(veventq2_fd));
}

/* The queue is there until it is destroyed, and its descriptor holds it */
TEST_F(veventq, close_queue)
{
	test_err_destroy(EBUSY, self->veventq_id);
	test_cmd_trigger_vevents(self->device_id, 1);
	ASSERT_EQ(0, close(self->veventq_fd));
	self->veventq_fd = -1;

	/* It goes on to take events, and is in the way of another */
	test_cmd_trigger_vevents(self->device_id, DEPTH + 1);
	test_err_veventq_alloc(EEXIST, self->viommu_id, TYPE_VEVENTQ, 1);
	test_err_destroy(EBUSY, self->viommu_id);
	test_ioctl_destroy(self->veventq_id);
	test_err_trigger_vevent(ENOENT, self->device_id);

	/* A new one starts anew */
	test_cmd_veventq_alloc(self->viommu_id, DEPTH, &self->veventq_id,
			       &self->veventq_fd);
	test_empty();
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(0, VDEV);
}

/* The descriptor of the queue holds the iommufd, too */
TEST_F(veventq, close_iommufd)
{
	test_cmd_trigger_vevents(self->device_id, 2);
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	test_readable();
	test_read_event(0, VDEV);
	test_read_event(1, VDEV);
	test_empty();
	ASSERT_EQ(0, close(self->veventq_fd));
	self->veventq_fd = -1;
}

TEST_HARNESS_MAIN
