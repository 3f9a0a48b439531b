// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs, vDEVICEs, invalidation and events with the mock driver. These tests
 * cover iommufd itself and run on any CPU. Each refused call returns its errno
 * and leaves no state behind.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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
	struct iommufd_vevent_header hdr;
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

/* Two pages of memory; accesses to the second one fault */
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

/* An ioctl on a read-only struct */
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

static short poll_fd(int fd, int msec)
{
	struct pollfd pfd = { .fd = fd, .events = ~POLLNVAL };

	return poll(&pfd, 1, msec) < 0 ? -errno : pfd.revents;
}

/* An IOAS, a device attached to it, a nest parent and a vIOMMU */
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

	/* In ABI order: all later checks of each call would fail, too */
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

	/* Size of the struct: the first version ends after out_viommu_id */
	cmd = good;
	cmd.size = offsetofend(struct iommu_viommu_alloc, out_viommu_id) - 1;
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &cmd));
	ext.cmd = good;
	ext.cmd.size = sizeof(ext);
	ext.future = 1;
	EXPECT_ERRNO(E2BIG, ioctl(self->fd, IOMMU_VIOMMU_ALLOC, &ext));
	EXPECT_ERRNO(EFAULT, ioctl_readonly(self->fd, IOMMU_VIOMMU_ALLOC, &good,
					    sizeof(good)));

	/* None of these calls holds the parent */
	test_ioctl_destroy(nested_id);
	test_ioctl_destroy(self->viommu_id);
	test_ioctl_destroy(self->parent_id);

	/* Valid sizes: the first version, and longer with zeros */
	test_cmd_hwpt_alloc(self->device_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_NEST_PARENT, &self->parent_id);
	cmd = good;
	cmd.hwpt_id = self->parent_id;
	cmd.size = offsetofend(struct iommu_viommu_alloc, out_viommu_id);
	/* Beyond the end, so the kernel ignores it */
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

	/* Length 0 means no data */
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

	/* At most a page, even if all of it is zero */
	memset(buffer, 0, BUFFER_SIZE);
	test_cmd_viommu_alloc_data(self->device_id, parent_id, buffer,
				   PAGE_SIZE, &id);
	test_ioctl_destroy(id);
	test_err_viommu_alloc(E2BIG, self->device_id, parent_id, TYPE_VIOMMU,
			      buffer, PAGE_SIZE + 1);
	test_err_viommu_alloc(E2BIG, self->device_id, parent_id, TYPE_VIOMMU,
			      buffer, UINT32_MAX);

	/* Unreadable, half readable, and read-only */
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

	/* None of these calls holds the parent */
	test_ioctl_destroy(parent_id);
}

/* A vIOMMU type can require data: the op that allocates receives it */
TEST_F(viommu, alloc_strict)
{
	const __u32 type = IOMMU_VIOMMU_TYPE_SELFTEST_STRICT;
	struct iommu_viommu_selftest data = {};
	__u32 parent_id, id;

	test_cmd_hwpt_alloc(self->device_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_NEST_PARENT, &parent_id);
	test_err_viommu_alloc(EINVAL, self->device_id, parent_id, type, NULL,
			      0);
	test_err_viommu_alloc(EINVAL, self->device_id, parent_id, type, &data,
			      sizeof(data));
	ASSERT_EQ(0, data.out_data);
	test_ioctl_destroy(parent_id);

	data.in_data = 0xbeef;
	test_cmd_hwpt_alloc(self->device_id, self->ioas_id,
			    IOMMU_HWPT_ALLOC_NEST_PARENT, &parent_id);
	ASSERT_EQ(0, _test_cmd_viommu_alloc(self->fd, self->device_id,
					    parent_id, type, &data,
					    sizeof(data), &id));
	ASSERT_EQ(0xbeef, data.out_data);
	test_err_destroy(EBUSY, parent_id);
	test_ioctl_destroy(id);
	test_ioctl_destroy(parent_id);
}

/* The driver receives the requested type, and may support several */
TEST_F(viommu, hw_info_type)
{
	struct iommu_test_hw_info info = {};
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
		.dev_id = self->device_id,
		.data_len = sizeof(info),
		.data_uptr = (uintptr_t)&info,
		.in_data_type = IOMMU_HW_INFO_TYPE_SELFTEST_OTHER,
	};

	ASSERT_EQ(0, ioctl(self->fd, IOMMU_GET_HW_INFO, &cmd));
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST_OTHER, cmd.out_data_type);
	ASSERT_EQ(IOMMU_HW_INFO_SELFTEST_REGVAL, info.test_reg);

	/* Without the flag the value does not reach the driver */
	cmd.flags = 0;
	ASSERT_EQ(0, ioctl(self->fd, IOMMU_GET_HW_INFO, &cmd));
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_SELFTEST, cmd.out_data_type);

	cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	cmd.in_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_GET_HW_INFO, &cmd));
}

TEST_F(viommu, who_holds_whom)
{
	__u32 other_id, nested_id, vdevice_id, veventq_id;
	int veventq_fd;

	/* Two vIOMMUs hold the parent until both are destroyed */
	test_cmd_viommu_alloc(self->device_id, self->parent_id, &other_id);
	ASSERT_NE(other_id, self->viommu_id);
	test_err_destroy(EBUSY, self->parent_id);
	test_ioctl_destroy(other_id);
	test_err_destroy(EBUSY, self->parent_id);
	test_err_destroy(ENOENT, other_id);

	/* Each of these objects holds the vIOMMU */
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

/* Closing the iommufd destroys all objects, in teardown order */
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

	/* A vDEVICE is not a valid parent */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, vdevice_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, data,
				   sizeof(data[0]));
	test_ioctl_destroy(vdevice_id);

	/* The data: its first version is the first word */
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

	/* None of these calls holds the vIOMMU */
	test_ioctl_destroy(self->viommu_id);
}

TEST_F(viommu, nested_attach)
{
	struct iommu_hwpt_invalidate_selftest inv = { .iotlb_id = 2 };
	__u32 nested_id, second_id, vdevice_id, num;

	test_cmd_nested(self->viommu_id, &nested_id);
	test_cmd_nested(self->viommu_id, &second_id);

	/* Without a vDEVICE the attach fails, and the device keeps its HWPT */
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

	/* Rolling back to the old HWPT needs no vDEVICE, or it WARNs */
	test_cmd_nested(self->viommu_id, &nested_id);
	test_err_mock_domain_replace(ENOENT, self->stdev_id, nested_id);
	test_ioctl_destroy(nested_id);
	test_err_destroy(EBUSY, second_id);

	/* Invalidation of the HWPT works as for any nested mock HWPT */
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

/* The mock driver receives all flags; fault queues need no nest parent */
TEST_F(viommu, paging_iopf)
{
	const __u32 known = IOMMU_HWPT_FAULT_ID_VALID |
			    IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	__u32 fault_id, fault_fd, hwpt_id;
	unsigned int bit;

	test_ioctl_fault_alloc(&fault_id, &fault_fd);
	test_cmd_hwpt_alloc_iopf(self->device_id, self->ioas_id, fault_id,
				 IOMMU_HWPT_FAULT_ID_VALID, &hwpt_id,
				 IOMMU_HWPT_DATA_NONE, NULL, 0);
	test_cmd_mock_domain_replace(self->stdev_id, hwpt_id);
	test_cmd_trigger_iopf_no_pasid(self->device_id, fault_fd);
	test_err_destroy(EBUSY, fault_id);
	test_cmd_mock_domain_replace(self->stdev_id, self->ioas_id);
	test_ioctl_destroy(hwpt_id);

	for (bit = 0; bit < 32; bit++) {
		if (known & (1U << bit))
			continue;
		test_err_hwpt_alloc_iopf(EOPNOTSUPP, self->device_id,
					 self->ioas_id, fault_id,
					 IOMMU_HWPT_FAULT_ID_VALID |
						 (1U << bit),
					 &hwpt_id, IOMMU_HWPT_DATA_NONE, NULL,
					 0);
	}
	test_err_hwpt_alloc_iopf(ENOENT, self->device_id, self->ioas_id, NO_ID,
				 IOMMU_HWPT_FAULT_ID_VALID, &hwpt_id,
				 IOMMU_HWPT_DATA_NONE, NULL, 0);
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

	/* All 32 bits work, and refused calls left nothing behind */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, UINT32_MAX,
			       &vdevice_id);
	test_ioctl_destroy(vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, 0,
			       &vdevice_id);
	test_ioctl_destroy(vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);

	/* One vDEVICE per device, over all vIOMMUs */
	test_err_vdevice_alloc(EEXIST, self->viommu_id, self->device_id, VDEV);
	test_err_vdevice_alloc(EEXIST, self->viommu_id, self->device_id,
			       OTHER_VDEV);
	test_err_vdevice_alloc(EEXIST, viommu2_id, self->device_id, VDEV);
	/* One device per virtual ID, on each vIOMMU */
	test_err_vdevice_alloc(EEXIST, self->viommu_id, device2_id, VDEV);
	test_cmd_vdevice_alloc(viommu2_id, device2_id, VDEV, &vdevice2_id);
	test_ioctl_destroy(vdevice2_id);
	test_cmd_vdevice_alloc(self->viommu_id, device2_id, OTHER_VDEV,
			       &vdevice2_id);

	/* The device is held by its driver, with or without a vDEVICE */
	test_err_destroy(EBUSY, device2_id);
	test_ioctl_destroy(vdevice2_id);
	test_err_destroy(ENOENT, vdevice2_id);
	test_ioctl_destroy(vdevice_id);
	test_ioctl_destroy(viommu2_id);
	test_ioctl_destroy(self->viommu_id);
}

/* A vIOMMU belongs to one IOMMU instance, and so do its devices */
TEST_F(viommu, other_driver)
{
	struct iommu_hwpt_selftest data = {};
	__u32 stdev2_id, device2_id, id;

	test_cmd_mock_domain_flags(self->ioas_id, MOCK_FLAGS_DEVICE_OTHER_IOMMU,
				   &stdev2_id, NULL, &device2_id);
	test_err_viommu_alloc(EINVAL, device2_id, self->parent_id, TYPE_VIOMMU,
			      NULL, 0);
	test_err_vdevice_alloc(EINVAL, self->viommu_id, device2_id, VDEV);
	test_err_hwpt_alloc_nested(EINVAL, device2_id, self->viommu_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, &data,
				   sizeof(data));
	test_ioctl_destroy(stdev2_id);
	test_ioctl_destroy(self->viommu_id);
}

/* A readable page; a write to it blocks until the userfaultfd allows it */
struct slow_page {
	void *mem;
	int fd;
};

static int slow_page_protect(struct slow_page *page, __u64 mode)
{
	struct uffdio_writeprotect protect = {
		.range = { (uintptr_t)page->mem, PAGE_SIZE },
		.mode = mode,
	};

	return ioctl(page->fd, UFFDIO_WRITEPROTECT, &protect);
}

/* Return: 0 or an errno. page->fd is -1 without userfaultfd in the kernel. */
static int slow_page_create(struct slow_page *page, const void *data,
			    size_t len)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };

	page->fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (page->fd < 0)
		return errno;
	page->mem = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(page->mem != MAP_FAILED);
	memcpy(page->mem, data, len);

	range.range.start = (uintptr_t)page->mem;
	range.range.len = PAGE_SIZE;
	if (ioctl(page->fd, UFFDIO_API, &api) ||
	    ioctl(page->fd, UFFDIO_REGISTER, &range) ||
	    slow_page_protect(page, UFFDIO_WRITEPROTECT_MODE_WP))
		return errno;
	return 0;
}

/* An ioctl with its struct in such a page */
struct slow_ioctl {
	struct slow_page page;
	unsigned long request;
	int fd;
	int err;
};

static void *slow_ioctl(void *arg)
{
	struct slow_ioctl *slow = arg;

	slow->err = 0;
	if (ioctl(slow->fd, slow->request, slow->page.mem))
		slow->err = errno;
	return NULL;
}

struct leaving_device {
	int fd;
	__u32 stdev_id;
	__u32 pt_id;
	int rc;
};

static void *device_leaves(void *arg)
{
	struct leaving_device *dev = arg;

	dev->rc = _test_cmd_mock_domain_replace(dev->fd, dev->stdev_id,
						dev->pt_id, NULL) ?:
		  _test_ioctl_destroy(dev->fd, dev->stdev_id);
	return NULL;
}

/*
 * A task that waits for user memory blocks no other task. The ioctl has read
 * its struct and waits to write the id back; meanwhile another task detaches
 * and unbinds the device. Return: 0, or an error if that takes longer than 5 s.
 */
static int device_leaves_meanwhile(struct slow_ioctl *slow,
				   struct leaving_device *leaving)
{
	pthread_t allocates, leaves;
	struct timespec deadline;
	int rc;

	if (pthread_create(&allocates, NULL, slow_ioctl, slow) ||
	    poll_fd(slow->page.fd, 10000) != POLLIN ||
	    pthread_create(&leaves, NULL, device_leaves, leaving))
		return -1;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 5;
	rc = pthread_timedjoin_np(leaves, NULL, &deadline);

	if (slow_page_protect(&slow->page, 0) ||
	    pthread_join(allocates, NULL) ||
	    (rc && pthread_join(leaves, NULL)) || close(slow->page.fd))
		return -1;
	return rc ?: leaving->rc;
}

TEST_F(viommu, vdevice_slow_memory)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->viommu_id,
		.virt_id = VDEV,
	};
	struct slow_ioctl slow = {
		.fd = self->fd,
		.request = IOMMU_VDEVICE_ALLOC,
	};
	struct leaving_device leaving = { .fd = self->fd };
	__u32 vdevice_id;
	int rc;

	test_ioctl_ioas_alloc(&leaving.pt_id);
	test_cmd_mock_domain(self->ioas_id, &leaving.stdev_id, NULL,
			     &cmd.dev_id);
	rc = slow_page_create(&slow.page, &cmd, sizeof(cmd));
	if (slow.page.fd < 0)
		SKIP(return, "no userfaultfd here");
	ASSERT_EQ(0, rc);
	EXPECT_EQ(0, device_leaves_meanwhile(&slow, &leaving));
	EXPECT_EQ(ENOENT, slow.err);
	ASSERT_EQ(0, munmap(slow.page.mem, PAGE_SIZE));

	/* The virtual ID is free, and no reference to the vIOMMU is left */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice_id);
	test_ioctl_destroy(vdevice_id);
	test_ioctl_destroy(self->viommu_id);
}

TEST_F(viommu, viommu_slow_memory)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = TYPE_VIOMMU,
		.hwpt_id = self->parent_id,
	};
	struct slow_ioctl slow = {
		.fd = self->fd,
		.request = IOMMU_VIOMMU_ALLOC,
	};
	struct leaving_device leaving = { .fd = self->fd };
	struct iommu_viommu_alloc *done;
	int rc;

	test_ioctl_ioas_alloc(&leaving.pt_id);
	test_cmd_mock_domain(self->ioas_id, &leaving.stdev_id, NULL,
			     &cmd.dev_id);
	rc = slow_page_create(&slow.page, &cmd, sizeof(cmd));
	if (slow.page.fd < 0)
		SKIP(return, "no userfaultfd here");
	ASSERT_EQ(0, rc);
	EXPECT_EQ(0, device_leaves_meanwhile(&slow, &leaving));

	/* The vIOMMU outlives the device */
	ASSERT_EQ(0, slow.err);
	done = slow.page.mem;
	test_ioctl_destroy(done->out_viommu_id);
	ASSERT_EQ(0, munmap(slow.page.mem, PAGE_SIZE));
	test_ioctl_destroy(self->viommu_id);
}

/* Unbinding a device destroys its vDEVICE, whose id is not reused */
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

	/* The device no longer exists */
	test_err_vdevice_alloc(ENOENT, self->viommu_id, device2_id, VDEV);
	test_err_trigger_vevent(ENOENT, device2_id);

	/* No ioctl finds an object under the id */
	test_err_destroy(ENOENT, vdevice_id);
	test_err_vdevice_alloc(ENOENT, vdevice_id, self->device_id, VDEV);
	test_err_veventq_alloc(ENOENT, vdevice_id, TYPE_VEVENTQ, 1);
	test_err_viommu_alloc(ENOENT, self->device_id, vdevice_id, TYPE_VIOMMU,
			      NULL, 0);
	test_err_hwpt_alloc_nested(EINVAL, self->device_id, vdevice_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, &data,
				   sizeof(data));

	/* The other ids of the device are reused, this one is not */
	for (i = 0; i < 8; i++) {
		test_ioctl_ioas_alloc(&ioas_id);
		ASSERT_NE(vdevice_id, ioas_id);
		reused |= ioas_id == device2_id || ioas_id == stdev2_id;
	}
	ASSERT_TRUE(reused);

	/* The virtual ID is free, and the HWPT and the vIOMMU are not held */
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, VDEV,
			       &vdevice2_id);
	ASSERT_NE(vdevice_id, vdevice2_id);
	test_ioctl_destroy(vdevice2_id);
	test_ioctl_destroy(nested_id);
	ASSERT_EQ(0, close(veventq_fd));
	test_ioctl_destroy(veventq_id);
	test_ioctl_destroy(self->viommu_id);
}

/* The id of a vDEVICE that user space destroys is reused */
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

	/* The current virtual ID of the device counts */
	test_ioctl_destroy(vdevice2_id);
	test_err_invalidate(EINVAL, self->viommu_id, &inv, TYPE_INV,
			    sizeof(inv), 1, 0);
	test_ioctl_destroy(vdevice_id);
	test_cmd_vdevice_alloc(self->viommu_id, self->device_id, OTHER_VDEV,
			       &vdevice_id);
	test_cmd_invalidate(&inv, sizeof(inv), 1);
	test_cmd_dev_check_cache_all(self->device_id, 0);

	/* The check itself detects wrong values and arguments */
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

	/* A request without entries probes for the type */
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
	/* The maximum is accepted and fails only at reading */
	test_err_invalidate(EFAULT, self->viommu_id, mem + PAGE_SIZE, TYPE_INV,
			    sizeof(inv), MAX_ENTRIES, 0);
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(self->fd, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);

	test_err_invalidate(ENOENT, NO_ID, &inv, TYPE_INV, sizeof(inv), 1, 0);
	test_err_invalidate(EINVAL, vdevice_id, &inv, TYPE_INV, sizeof(inv), 1,
			    0);
	test_err_invalidate(EINVAL, self->ioas_id, &inv, TYPE_INV, sizeof(inv),
			    1, 0);
	test_err_invalidate(EINVAL, self->parent_id, &inv, TYPE_INV,
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

	/* EFAULT if entry_num can't be written back */
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

	/* Longer entries: E2BIG unless the unknown part is 0 */
	ext[1].future = 1;
	test_err_invalidate(E2BIG, self->viommu_id, ext, TYPE_INV,
			    sizeof(ext[0]), 3, 1);
	test_cmd_dev_check_cache(self->device_id, 1, 0);
	test_cmd_dev_check_cache(self->device_id, 2, UNTOUCHED);
	ext[1].future = 0;
	test_cmd_invalidate(ext, sizeof(ext[0]), 2);
	test_cmd_dev_check_cache(self->device_id, 2, 0);
	test_cmd_dev_check_cache(self->device_id, 3, UNTOUCHED);

	/* Shorter entries: the first version is the whole struct */
	test_err_invalidate(EINVAL, self->viommu_id, &ext[2], TYPE_INV,
			    sizeof(ext[0].inv) - 1, 1, 0);
	test_err_invalidate(EINVAL, self->viommu_id, &ext[2], TYPE_INV, 1, 1,
			    0);
	test_cmd_dev_check_cache(self->device_id, 0, UNTOUCHED);
	test_cmd_dev_check_cache(self->device_id, 3, UNTOUCHED);

	/* The maximum length */
	memset(buffer, 0, BUFFER_SIZE);
	memcpy(buffer, &ext[2], sizeof(ext[2].inv));
	test_cmd_invalidate(buffer, PAGE_SIZE, 1);
	test_cmd_dev_check_cache(self->device_id, 3, 0);
}

/* A nested mock HWPT refuses longer entries, as it always did */
TEST_F(viommu, invalidate_hwpt_entry_len)
{
	const __u32 type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST;
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct {
		struct iommu_hwpt_invalidate_selftest inv;
		__u32 future;
	} ext[2] = {
		{ .inv = { .iotlb_id = 1 } },
		{ .inv = { .iotlb_id = 2 }, .future = 1 },
	};
	__u32 id;

	test_cmd_hwpt_alloc_nested(self->device_id, self->parent_id, 0, &id,
				   IOMMU_HWPT_DATA_SELFTEST, &data,
				   sizeof(data));
	test_err_invalidate(EINVAL, id, ext, type, sizeof(ext[0]), 2, 0);
	test_cmd_hwpt_check_iotlb(id, 1, IOMMU_TEST_IOTLB_DEFAULT);
	test_err_invalidate(EINVAL, id, &ext[1], type, sizeof(ext[0].inv) - 1,
			    1, 0);
	test_cmd_hwpt_check_iotlb(id, 2, IOMMU_TEST_IOTLB_DEFAULT);
	test_ioctl_destroy(id);
}

/* entry_num is exact, wherever a long request ends */
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

			/* A new device, to start with untouched caches */
			test_cmd_mock_domain(self->ioas_id, &stdev_id, NULL,
					     &device_id);
			test_cmd_vdevice_alloc(self->viommu_id, device_id, VDEV,
					       &vdevice_id);

			/* 0: before the last good entry, 1: it, 2: after */
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

	/* A request without a bad entry */
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

/* The objects of the viommu fixture, with a vDEVICE and an event queue */
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
		const struct iommufd_vevent_header *_hdr = &(rec)->hdr;       \
		ASSERT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, _hdr->flags);       \
		ASSERT_EQ(seq, _hdr->sequence);                               \
	})
/* The next record is exactly this event */
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

	/* In ABI order: all later checks of each call would fail, too */
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

	/* The existing queue still works */
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(0, VDEV);
	ASSERT_EQ(0, close(self->veventq_fd));
	self->veventq_fd = -1;
	test_ioctl_destroy(self->veventq_id);

	/* Without a free descriptor: EMFILE, and no queue is left over */
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

	/* No queue or descriptor is left over; the maximum depth works */
	cmd = good;
	cmd.veventq_depth = MAX_DEPTH;
	cmd.size = offsetofend(struct iommu_veventq_alloc, out_veventq_fd);
	/* Beyond the end, so the kernel ignores it */
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

	/* read() never blocks, with or without O_NONBLOCK */
	test_empty();
	flags = fcntl(self->veventq_fd, F_GETFL);
	ASSERT_EQ(0, fcntl(self->veventq_fd, F_SETFL, flags | O_NONBLOCK));
	test_empty();
	EXPECT_ERRNO(EINVAL, read(self->veventq_fd, records,
				  sizeof(records[0].hdr) - 1));

	/* A buffer too short for the record: EINVAL, and the record stays */
	test_cmd_trigger_vevents(self->device_id, 1);
	test_readable();
	EXPECT_ERRNO(EINVAL, read(self->veventq_fd, records,
				  sizeof(records[0].hdr)));
	EXPECT_ERRNO(EINVAL, read(self->veventq_fd, records,
				  sizeof(records[0]) - 1));
	test_readable();
	test_read_event(0, VDEV);
	test_empty();

	/* As many whole records as fit */
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

	/* A fault in the first record: EFAULT, and no event is lost */
	EXPECT_ERRNO(EFAULT, read(self->veventq_fd, mem + PAGE_SIZE,
				  3 * sizeof(*edge)));
	EXPECT_ERRNO(EFAULT, read(self->veventq_fd, mem + PAGE_SIZE - 4,
				  3 * sizeof(*edge)));
	test_readable();

	/* Room for one and a half records */
	edge = mem + PAGE_SIZE - sizeof(*edge) - 6;
	ASSERT_EQ(sizeof(*edge),
		  read(self->veventq_fd, edge, 3 * sizeof(*edge)));
	test_is_event(edge, 0, VDEV);
	test_read_event(1, VDEV);
	test_read_event(2, VDEV);
	test_empty();

	/* A fault does not lose a lost-events record either */
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

	/* One lost-events record for three lost events, after the others */
	test_cmd_trigger_vevents(self->device_id, DEPTH + 3);
	ASSERT_EQ(DEPTH * sizeof(records[0]) + sizeof(records[0].hdr),
		  read(self->veventq_fd, records, sizeof(records)));
	for (i = 0; i < DEPTH; i++)
		test_is_event(&records[i], i, VDEV);
	test_is_lost(&records[DEPTH], DEPTH + 2);
	test_empty();

	/* Its sequence number is not reused */
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(DEPTH + 3, VDEV);

	/* If an event follows, the gap shows the loss of DEPTH + 8 */
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

/* An event wakes poll() */
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

/* An event belongs to the vDEVICE that exists when the event occurs */
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

	/* On another vIOMMU, without and with a queue there */
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

/* The queue exists until it is destroyed, and its descriptor holds it */
TEST_F(veventq, close_queue)
{
	test_err_destroy(EBUSY, self->veventq_id);
	test_cmd_trigger_vevents(self->device_id, 1);
	ASSERT_EQ(0, close(self->veventq_fd));
	self->veventq_fd = -1;

	/* It still takes events, and blocks the allocation of another queue */
	test_cmd_trigger_vevents(self->device_id, DEPTH + 1);
	test_err_veventq_alloc(EEXIST, self->viommu_id, TYPE_VEVENTQ, 1);
	test_err_destroy(EBUSY, self->viommu_id);
	test_ioctl_destroy(self->veventq_id);
	test_err_trigger_vevent(ENOENT, self->device_id);

	/* A new queue starts at sequence 0 */
	test_cmd_veventq_alloc(self->viommu_id, DEPTH, &self->veventq_id,
			       &self->veventq_fd);
	test_empty();
	test_cmd_trigger_vevents(self->device_id, 1);
	test_read_event(0, VDEV);
}

/* The descriptor of the queue also holds the iommufd */
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
