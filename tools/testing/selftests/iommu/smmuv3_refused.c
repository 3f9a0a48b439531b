// SPDX-License-Identifier: GPL-2.0
/*
 * Refused calls of nesting on an SMMUv3, each with its errno and next to the
 * nearest accepted call. A failed invalidation reports the number of completed
 * commands, and exactly these are done.
 */
#include <endian.h>

#include "smmuv3_utils.h"

#define UNRELATED_ASID	0x77

#define DATA_SMMUV3	IOMMU_HWPT_DATA_ARM_SMMUV3
#define INV_SMMUV3	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3

/* Limits of the ABI */
#define MAX_ENTRIES	0x80000U

FIXTURE(refused)
{
	struct vm vm;
	struct guest_dev dev;
	__u32 id;
};

FIXTURE_SETUP(refused)
{
	const char *why = guest_init_nested(_metadata, &self->vm, &self->dev,
					    0);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(refused)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

/* ---- Nest parents ---- */

TEST_F(refused, nest_parent)
{
	static const __u32 flags[] = {
		IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID,
		IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
		IOMMU_HWPT_ALLOC_PASID << 1,
		1U << 31,
	};
	const int fd = self->vm.fd;
	const __u32 dev = self->dev.id, ioas = self->vm.ioas;
	struct iommu_hwpt_arm_smmuv3 ste = smmuv3_ste_bypass();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		test_err_hwpt_alloc(EOPNOTSUPP, fd, dev, ioas, flags[i],
				    &self->id)
			TH_LOG("flags %#x", flags[i]);

	/* A vSTE requires a vIOMMU */
	REFUSED(EOPNOTSUPP,
		iommufd_hwpt_alloc_data(fd, dev, ioas, 0, DATA_SMMUV3, &ste,
					sizeof(ste), &self->id));
	REFUSED(EOPNOTSUPP,
		iommufd_hwpt_alloc_data(fd, dev, ioas,
					IOMMU_HWPT_ALLOC_NEST_PARENT,
					DATA_SMMUV3, &ste, sizeof(ste),
					&self->id));
	test_err_hwpt_alloc(ENOENT, fd, ID_UNKNOWN, ioas, 0, &self->id);
	test_err_hwpt_alloc(EINVAL, fd, dev, ID_UNKNOWN, 0, &self->id);
}

/* ---- vSTE ---- */

#define test_ste(_w0, _w1)						\
do {									\
	test_hwpt_alloc_ste(self->vm.fd, self->dev.id, self->vm.viommu,	\
			    smmuv3_ste(_w0, _w1), &self->id);		\
	test_destroy(self->vm.fd, self->id);				\
} while (0)
#define test_err_ste(_errno, _w0, _w1)					\
	test_err_hwpt_alloc_ste(_errno, self->vm.fd, self->dev.id,	\
				self->vm.viommu, smmuv3_ste(_w0, _w1),	\
				&self->id)

#define STE_0_ALLOWED	0xf80fffffffffffffULL
#define STE_1_ALLOWED	0x00000000380000ffULL

static __u64 ste_config(unsigned int config)
{
	return STE_0_V | smmuv3_put(STE_0_CONFIG, config);
}

TEST_F(refused, ste_unknown_bits)
{
	static const unsigned int config[] = {
		STE_0_CONFIG_ABORT, STE_0_CONFIG_BYPASS, STE_0_CONFIG_S1,
	};
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(config); i++) {
		__u64 word0 = ste_config(config[i]);

		test_ste(word0, 0);
		for (bit = 0; bit < 64; bit++) {
			__u64 one = SMMUV3_BIT(bit);

			if (!(one & STE_0_ALLOWED))
				test_err_ste(EIO, word0 | one, 0)
					TH_LOG("word 0, bit %u", bit);
			if (!(one & STE_1_ALLOWED))
				test_err_ste(EIO, word0, one)
					TH_LOG("word 1, bit %u", bit);
		}
	}
}

TEST_F(refused, ste_known_bits)
{
	unsigned int bit;

	/* The kernel accepts any value of each field */
	for (bit = 0; bit < 64; bit++) {
		__u64 one = SMMUV3_BIT(bit);

		if (one & STE_0_ALLOWED & ~STE_0_CONFIG)
			test_ste(ste_config(STE_0_CONFIG_S1) | one, 0);
		if (one & STE_1_ALLOWED & ~STE_1_EATS)
			test_ste(ste_config(STE_0_CONFIG_S1), one);
	}
	test_ste(ste_config(STE_0_CONFIG_S1) |
		 (STE_0_ALLOWED & ~STE_0_CONFIG), STE_1_ALLOWED & ~STE_1_EATS);
}

TEST_F(refused, ste_config)
{
	static const unsigned int bad[] = { 1, 2, 3, 6, 7 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		test_err_ste(EIO, ste_config(bad[i]), 0)
			TH_LOG("Config %u", bad[i]);
}

TEST_F(refused, ste_eats)
{
	static const unsigned int config[] = {
		STE_0_CONFIG_ABORT, STE_0_CONFIG_BYPASS, STE_0_CONFIG_S1,
	};
	unsigned int i, eats;

	for (i = 0; i < ARRAY_SIZE(config); i++) {
		test_ste(ste_config(config[i]), smmuv3_put(STE_1_EATS, 1));
		for (eats = 2; eats <= 3; eats++)
			test_err_ste(EIO, ste_config(config[i]),
				     smmuv3_put(STE_1_EATS, eats))
				TH_LOG("Config %u, EATS %u", config[i], eats);
	}
}

/* With V=0 the other bits are ignored */
TEST_F(refused, ste_invalid_is_taken)
{
	unsigned int bit;

	test_ste(0, 0);
	test_ste(~STE_0_V, ~0ULL);
	for (bit = 0; bit < 64; bit++) {
		if (bit)
			test_ste(SMMUV3_BIT(bit), 0);
		test_ste(0, SMMUV3_BIT(bit));
	}
}

/* ---- The data of a nested HWPT ---- */

#define test_hwpt_data(_flags, _type, _data, _len)			\
do {									\
	FACT(iommufd_hwpt_alloc_data(self->vm.fd, self->dev.id,		\
				     self->vm.viommu, _flags, _type,	\
				     _data, _len, &self->id));		\
	test_destroy(self->vm.fd, self->id);				\
} while (0)
#define test_err_hwpt_data(_errno, _flags, _type, _data, _len)		\
	REFUSED(_errno,							\
		iommufd_hwpt_alloc_data(self->vm.fd, self->dev.id,	\
					self->vm.viommu, _flags, _type,	\
					_data, _len, &self->id))

TEST_F(refused, hwpt_data)
{
	struct iommu_hwpt_arm_smmuv3 ste = smmuv3_ste_bypass();
	const size_t page = self->vm.page, len = sizeof(ste);
	__u8 *buf;

	/* Two pages; the second one is unreadable */
	buf = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buf);
	ASSERT_EQ(0, mprotect(buf + page, page, PROT_NONE));
	memcpy(buf, &ste, len);

	test_hwpt_data(0, DATA_SMMUV3, buf, len);
	/* Another type */
	test_err_hwpt_data(EINVAL, 0, IOMMU_HWPT_DATA_VTD_S1, buf, len);
	test_err_hwpt_data(EINVAL, 0, 3, buf, len);
	test_err_hwpt_data(EINVAL, 0, 0xdead, buf, len);
	/* No data, or only part of the arguments */
	test_err_hwpt_data(EOPNOTSUPP, 0, IOMMU_HWPT_DATA_NONE, NULL, 0);
	test_err_hwpt_data(EINVAL, 0, IOMMU_HWPT_DATA_NONE, buf, len);
	test_err_hwpt_data(EINVAL, 0, DATA_SMMUV3, buf, 0);
	/* Too short */
	test_err_hwpt_data(EINVAL, 0, DATA_SMMUV3, buf, 1);
	test_err_hwpt_data(EINVAL, 0, DATA_SMMUV3, buf, len - 1);
	/* Longer, with zeros */
	test_hwpt_data(0, DATA_SMMUV3, buf, len + 1);
	test_hwpt_data(0, DATA_SMMUV3, buf, page);
	/* Longer, with a nonzero first or last byte beyond the struct */
	buf[len] = 1;
	test_err_hwpt_data(E2BIG, 0, DATA_SMMUV3, buf, len + 1);
	test_err_hwpt_data(E2BIG, 0, DATA_SMMUV3, buf, len + 8);
	buf[len] = 0;
	buf[page - 1] = 1;
	test_hwpt_data(0, DATA_SMMUV3, buf, page - 1);
	test_err_hwpt_data(E2BIG, 0, DATA_SMMUV3, buf, page);
	buf[page - 1] = 0;
	/* Longer than a page, whatever its contents */
	ASSERT_EQ(0, mprotect(buf + page, page, PROT_READ));
	test_err_hwpt_data(E2BIG, 0, DATA_SMMUV3, buf, page + 1);
	test_err_hwpt_data(E2BIG, 0, DATA_SMMUV3, buf, ~0U);
	/* Unreadable as a whole or in part */
	ASSERT_EQ(0, mprotect(buf + page, page, PROT_NONE));
	test_err_hwpt_data(EFAULT, 0, DATA_SMMUV3, NULL, len);
	test_err_hwpt_data(EFAULT, 0, DATA_SMMUV3, buf + page, len);
	test_err_hwpt_data(EFAULT, 0, DATA_SMMUV3, buf + page - 8, len);
	test_err_hwpt_data(EFAULT, 0, DATA_SMMUV3, buf + page - len, len + 1);
	memcpy(buf + page - len, &ste, len);
	test_hwpt_data(0, DATA_SMMUV3, buf + page - len, len);
	munmap(buf, 2 * page);
}

TEST_F(refused, hwpt_flags)
{
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hwpt_arm_smmuv3 ste = smmuv3_ste_bypass();
	static const __u32 flags[] = {
		IOMMU_HWPT_ALLOC_NEST_PARENT,
		IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		IOMMU_HWPT_ALLOC_PASID,
		IOMMU_HWPT_ALLOC_PASID << 1,
		1U << 31,
	};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->dev.id,
		.pt_id = self->vm.viommu,
		.data_type = DATA_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
		.__reserved = 1,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		test_err_hwpt_data(EOPNOTSUPP, flags[i], DATA_SMMUV3, &ste,
				   sizeof(ste))
			TH_LOG("flags %#x", flags[i]);
	REFUSED(EOPNOTSUPP, iommufd_cmd(self->vm.fd, IOMMU_HWPT_ALLOC, &cmd));

	cmd.__reserved = 0;
	cmd.pt_id = self->dev.id;
	REFUSED(EINVAL, iommufd_cmd(self->vm.fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.pt_id = self->vm.ioas;
	cmd.flags = IOMMU_HWPT_ALLOC_PASID;
	REFUSED(EOPNOTSUPP, iommufd_cmd(self->vm.fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.pt_id = self->vm.viommu;
	cmd.flags = 0;
	cmd.data_uptr = 0;
	REFUSED(EFAULT, iommufd_cmd(self->vm.fd, IOMMU_HWPT_ALLOC, &cmd));

	cmd.data_uptr = (uintptr_t)&ste;
	/* The SMMU can't stall, so a fault queue is useless */
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	cmd.fault_id = ID_UNKNOWN;
	REFUSED(EOPNOTSUPP, iommufd_cmd(self->vm.fd, IOMMU_HWPT_ALLOC, &cmd));
	FACT(iommufd_cmd(self->vm.fd, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	cmd.fault_id = queue.out_fault_id;
	REFUSED(EOPNOTSUPP, iommufd_cmd(self->vm.fd, IOMMU_HWPT_ALLOC, &cmd));
	close(queue.out_fault_fd);
	test_destroy(self->vm.fd, queue.out_fault_id);
}

TEST_F(refused, hwpt_ids)
{
	struct iommu_hwpt_arm_smmuv3 ste = smmuv3_ste_bypass();
	const __u32 dev = self->dev.id;
	struct vm *vm = &self->vm;
	__u32 nested, paging;

	test_hwpt_alloc_ste(vm->fd, dev, vm->viommu, ste, &nested);
	test_hwpt_alloc(vm->fd, dev, vm->ioas, 0, &paging);

	test_err_hwpt_alloc_ste(ENOENT, vm->fd, ID_UNKNOWN, vm->viommu, ste,
				&self->id);
	test_err_hwpt_alloc_ste(ENOENT, vm->fd, vm->ioas, vm->viommu, ste,
				&self->id);
	test_err_hwpt_alloc_ste(EINVAL, vm->fd, dev, ID_UNKNOWN, ste,
				&self->id);
	test_err_hwpt_alloc_ste(EINVAL, vm->fd, dev, dev, ste, &self->id);
	test_err_hwpt_alloc_ste(EINVAL, vm->fd, dev, nested, ste, &self->id);
	/* A nested domain needs a vIOMMU between it and the nest parent */
	test_err_hwpt_alloc_ste(EOPNOTSUPP, vm->fd, dev, vm->s2, ste,
				&self->id);
}

/* ---- vIOMMU ---- */

#define test_viommu_cmd()						\
do {									\
	FACT(iommufd_cmd(self->vm.fd, IOMMU_VIOMMU_ALLOC, &cmd));	\
	test_destroy(self->vm.fd, cmd.out_viommu_id);			\
} while (0)
#define test_err_viommu_cmd(_errno)					\
	REFUSED(_errno, iommufd_cmd(self->vm.fd, IOMMU_VIOMMU_ALLOC, &cmd))

TEST_F(refused, viommu)
{
	const __u32 types[] = { 2, 3, 0xdeadbeef, ~0U };
	struct vm *vm = &self->vm;
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = self->dev.id,
		.hwpt_id = vm->s2,
	};
	__u32 nested, paging;
	unsigned int i;

	test_hwpt_alloc_ste(vm->fd, self->dev.id, vm->viommu,
			    smmuv3_ste_abort(), &nested);
	test_hwpt_alloc(vm->fd, self->dev.id, vm->ioas, 0, &paging);
	test_viommu_cmd();

	/* Checks in order: the first error counts */
	cmd.flags = 1;
	cmd.dev_id = ID_UNKNOWN;
	test_err_viommu_cmd(EOPNOTSUPP);
	cmd.flags = 1U << 31;
	test_err_viommu_cmd(EOPNOTSUPP);
	cmd.flags = 0;
	cmd.type = IOMMU_VIOMMU_TYPE_DEFAULT;
	test_err_viommu_cmd(EOPNOTSUPP);
	cmd.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
	cmd.__reserved = 1;
	test_err_viommu_cmd(EOPNOTSUPP);
	cmd.__reserved = 0;

	cmd.type = types[0];
	test_err_viommu_cmd(ENOENT);
	cmd.dev_id = vm->ioas;
	test_err_viommu_cmd(ENOENT);
	cmd.dev_id = self->dev.id;

	cmd.hwpt_id = ID_UNKNOWN;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		cmd.type = types[i];
		test_err_viommu_cmd(EOPNOTSUPP) TH_LOG("type %#x", types[i]);
	}
	cmd.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;

	test_err_viommu_cmd(ENOENT);
	cmd.hwpt_id = vm->ioas;
	test_err_viommu_cmd(ENOENT);
	cmd.hwpt_id = nested;
	test_err_viommu_cmd(ENOENT);
	cmd.hwpt_id = paging;
	test_err_viommu_cmd(EINVAL);
	cmd.hwpt_id = vm->s2;

	/* The SMMUv3 type ignores data */
	cmd.data_len = 24;
	cmd.data_uptr = 8;
	test_viommu_cmd();
	cmd.data_len = 0;
	cmd.data_uptr = 0;

	cmd.size = offsetof(struct iommu_viommu_alloc, data_len);
	test_viommu_cmd();
	cmd.size--;
	test_err_viommu_cmd(EINVAL);
}

TEST_F(refused, size_beyond_struct)
{
	struct {
		struct iommu_viommu_alloc viommu;
		__u64 more;
	} a = {
		.viommu.size = sizeof(a),
		.viommu.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.viommu.dev_id = self->dev.id,
		.viommu.hwpt_id = self->vm.s2,
	};
	struct {
		struct iommu_vdevice_alloc vdevice;
		__u64 more;
	} b = {
		.vdevice.size = sizeof(b),
		.vdevice.viommu_id = self->vm.viommu,
		.vdevice.dev_id = self->dev.id,
	};
	const int fd = self->vm.fd;

	a.more = 1;
	REFUSED(E2BIG, iommufd_cmd(fd, IOMMU_VIOMMU_ALLOC, &a));
	a.more = 0;
	FACT(iommufd_cmd(fd, IOMMU_VIOMMU_ALLOC, &a));

	b.more = 1;
	REFUSED(E2BIG, iommufd_cmd(fd, IOMMU_VDEVICE_ALLOC, &b));
	b.more = 0;
	FACT(iommufd_cmd(fd, IOMMU_VDEVICE_ALLOC, &b));
	test_destroy(fd, b.vdevice.out_vdevice_id);

	b.vdevice.size = sizeof(b.vdevice) - 1;
	REFUSED(EINVAL, iommufd_cmd(fd, IOMMU_VDEVICE_ALLOC, &b));
}

/* If the id can't be written back, the object is not left behind */
TEST_F(refused, answer_faults)
{
	struct iommu_hwpt_arm_smmuv3 ste = smmuv3_ste_bypass();
	struct smmuv3_cmd inv = smmuv3_tlbi_nh_all();
	struct vm *vm = &self->vm;
	__u32 vdev, id, next;
	union {
		struct iommu_viommu_alloc viommu;
		struct iommu_vdevice_alloc vdevice;
		struct iommu_hwpt_alloc hwpt;
		struct iommu_hwpt_invalidate invalidate;
	} *cmd;

	cmd = mmap(NULL, vm->page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	FACT(iommufd_ioas_alloc(vm->fd, &id));

	cmd->viommu = (struct iommu_viommu_alloc) {
		.size = sizeof(cmd->viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = self->dev.id,
		.hwpt_id = vm->s2,
	};
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ));
	REFUSED(EFAULT, iommufd_cmd(vm->fd, IOMMU_VIOMMU_ALLOC, cmd));
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ | PROT_WRITE));

	cmd->vdevice = (struct iommu_vdevice_alloc) {
		.size = sizeof(cmd->vdevice),
		.viommu_id = vm->viommu,
		.dev_id = self->dev.id,
		.virt_id = VSID,
	};
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ));
	REFUSED(EFAULT, iommufd_cmd(vm->fd, IOMMU_VDEVICE_ALLOC, cmd));
	test_err_cmd(EIO, vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ | PROT_WRITE));

	cmd->hwpt = (struct iommu_hwpt_alloc) {
		.size = sizeof(cmd->hwpt),
		.dev_id = self->dev.id,
		.pt_id = vm->viommu,
		.data_type = DATA_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
	};
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ));
	REFUSED(EFAULT, iommufd_cmd(vm->fd, IOMMU_HWPT_ALLOC, cmd));
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ | PROT_WRITE));

	cmd->invalidate = (struct iommu_hwpt_invalidate) {
		.size = sizeof(cmd->invalidate),
		.hwpt_id = vm->viommu,
		.data_type = INV_SMMUV3,
		.data_uptr = (uintptr_t)&inv,
		.entry_len = sizeof(inv),
		.entry_num = 1,
	};
	ASSERT_EQ(0, mprotect(cmd, vm->page, PROT_READ));
	REFUSED(EFAULT, iommufd_cmd(vm->fd, IOMMU_HWPT_INVALIDATE, cmd));
	munmap(cmd, vm->page);

	/* Ids are consecutive: no object was left in between */
	FACT(iommufd_ioas_alloc(vm->fd, &next));
	ASSERT_EQ(id + 1, next);
	test_vdevice_alloc(vm->fd, vm->viommu, self->dev.id, VSID, &vdev);
	test_destroy(vm->fd, vdev);
	test_destroy(vm->fd, vm->viommu);
	test_destroy(vm->fd, vm->s2);
}

/* Commands of mainline that this kernel lacks */
TEST_F(refused, commands_not_built)
{
	static const unsigned int nr[] = { 0x92, 0x94, 0x95 };
	__u64 buf[8] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nr); i++) {
		buf[0] = 40;
		REFUSED(ENOTTY, iommufd_cmd(self->vm.fd,
					    _IO(IOMMUFD_TYPE, nr[i]), buf))
			TH_LOG("command %#x", nr[i]);
	}
}

/* ---- vDEVICE ---- */

/*
 * All users of an SMMU share its VMIDs. An iommufd gets four per bound device,
 * over all nest parents, so others can still start.
 */
TEST_F(refused, viommus_by_devices)
{
	struct vm *vm = &self->vm;
	__u32 last = 0, num = 1;
	struct guest_dev other;
	struct vm other_vm;
	unsigned int i;
	__u32 s2, id;

	for (i = 0; i < 20; i++) {
		test_hwpt_alloc(vm->fd, self->dev.id, vm->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &s2);
		while (!iommufd_viommu_alloc(vm->fd, self->dev.id, s2,
					     IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
					     &id)) {
			last = id;
			ASSERT_GT(100, ++num);
		}
		test_err_viommu_alloc(ENOSPC, vm->fd, self->dev.id, s2, &id);
	}
	ASSERT_EQ(4, num);

	/* Refused calls leave nothing behind; destroying one makes room */
	test_destroy(vm->fd, last);
	test_viommu_alloc(vm->fd, self->dev.id, s2, &id);
	test_err_viommu_alloc(ENOSPC, vm->fd, self->dev.id, s2, &id);

	/* Another VM with another device */
	for (i = 1; !guest_dev_why_not(i); i++) {
		vm_init(_metadata, &other_vm);
		guest_dev_open(_metadata, &other, &other_vm, i);
		if (guest_dev_on_smmuv3(&other)) {
			test_hwpt_alloc(other_vm.fd, other.id, other_vm.ioas,
					IOMMU_HWPT_ALLOC_NEST_PARENT, &s2);
			test_viommu_alloc(other_vm.fd, other.id, s2, &id);
		}
		guest_dev_close(&other);
		vm_close(&other_vm);
	}
}

/* A second device allows four more; the existing vIOMMUs stay */
TEST_F(refused, viommus_of_two_devices)
{
	struct vm *vm = &self->vm;
	struct guest_dev other;
	__u32 num = 1;
	__u32 id;

	if (guest_dev_why_not(1))
		SKIP(return, "%s", guest_dev_why_not(1));
	guest_dev_open(_metadata, &other, vm, 1);
	while (!iommufd_viommu_alloc(vm->fd, other.id, vm->s2,
				     IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &id))
		ASSERT_GT(100, ++num);
	ASSERT_EQ(8, num);
	guest_dev_close(&other);
	test_err_viommu_alloc(ENOSPC, vm->fd, self->dev.id, vm->s2, &id);
}

TEST_F(refused, vdevice)
{
	const __u32 dev = self->dev.id;
	struct vm *vm = &self->vm;
	__u32 vdev, viommu;

	test_err_vdevice_alloc(ENOENT, vm->fd, ID_UNKNOWN, dev, VSID, &vdev);
	test_err_vdevice_alloc(ENOENT, vm->fd, vm->s2, dev, VSID, &vdev);
	test_err_vdevice_alloc(ENOENT, vm->fd, vm->viommu, ID_UNKNOWN, VSID,
			       &vdev);
	test_err_vdevice_alloc(ENOENT, vm->fd, vm->viommu, vm->ioas, VSID,
			       &vdev);
	/* A StreamID has 32 bits */
	test_err_vdevice_alloc(EINVAL, vm->fd, vm->viommu, dev, 1ULL << 32,
			       &vdev);
	test_err_vdevice_alloc(EINVAL, vm->fd, vm->viommu, dev, ~0ULL, &vdev);
	test_vdevice_alloc(vm->fd, vm->viommu, dev, 0xffffffff, &vdev);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd_all(0xffffffff));

	/* One vDEVICE per device, over all vSIDs and vIOMMUs */
	test_viommu_alloc(vm->fd, dev, vm->s2, &viommu);
	test_err_vdevice_alloc(EEXIST, vm->fd, vm->viommu, dev, 0xffffffff,
			       &vdev);
	test_err_vdevice_alloc(EEXIST, vm->fd, vm->viommu, dev, VSID, &vdev);
	test_err_vdevice_alloc(EEXIST, vm->fd, viommu, dev, VSID, &vdev);
	test_destroy(vm->fd, vdev);
	test_vdevice_alloc(vm->fd, viommu, dev, 0, &vdev);
	test_cmd(vm->fd, viommu, smmuv3_cfgi_cd_all(0));
}

/* ---- Invalidation: the array ---- */

static int inv(int fd, __u32 id, __u32 type, __u32 num, const void *data,
	       __u32 len, __u32 done)
{
	__u32 count = num;
	int ret = iommufd_invalidate(fd, id, type, data, len, &count);

	if (count == done)
		return ret;
	fprintf(TH_LOG_STREAM, "# entry_num is %u of %u, not %u\n", count, num,
		done);
	return -EPROTO;
}

static int inv_all(int fd, __u32 viommu, __u32 num, const void *data, __u32 len)
{
	return inv(fd, viommu, INV_SMMUV3, num, data, len, num);
}

#define test_inv(_num, _data, _len)					\
	FACT(inv_all(self->vm.fd, self->vm.viommu, _num, _data, _len))

/* Refused after _done of _num entries */
#define test_err_inv(_errno, _id, _type, _num, _data, _len, _done)	\
	REFUSED(_errno, inv(self->vm.fd, _id, _type, _num, _data, _len,	\
			    _done))

TEST_F(refused, invalidate_array)
{
	const __u32 viommu = self->vm.viommu, dev = self->dev.id;
	const size_t page = self->vm.page;
	struct smmuv3_cmd cmd = smmuv3_tlbi_nh_all();
	struct iommu_hwpt_invalidate raw = {
		.size = sizeof(raw),
		.hwpt_id = viommu,
		.data_type = INV_SMMUV3,
		.data_uptr = (uintptr_t)&cmd,
		.entry_len = sizeof(cmd),
		.entry_num = 1,
		.__reserved = 1,
	};
	__u32 nested, vdev;
	__u8 *buf;

	buf = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buf);
	memcpy(buf, &cmd, sizeof(cmd));

	REFUSED(EOPNOTSUPP,
		iommufd_cmd(self->vm.fd, IOMMU_HWPT_INVALIDATE, &raw));
	ASSERT_EQ(0, raw.entry_num);

	/* Without entries only the type is checked */
	test_inv(0, NULL, 0);
	test_inv(0, (void *)8, ~0U);
	test_err_inv(EINVAL, viommu, 0, 0, NULL, 0, 0);
	test_err_inv(EINVAL, viommu, 2, 0, NULL, 0, 0);
	test_err_inv(EINVAL, viommu, 0xdeadbeef, 0, NULL, 0, 0);
	/* Other types fail with entries, too */
	test_err_inv(EINVAL, viommu, 0, 1, buf, sizeof(cmd), 0);
	test_err_inv(EINVAL, viommu, 2, 1, buf, sizeof(cmd), 0);

	test_err_inv(EINVAL, viommu, INV_SMMUV3, 1, NULL, sizeof(cmd), 0);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, 1, buf, 0, 0);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, 1, buf, page + 1, 0);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, MAX_ENTRIES + 1, buf,
		     sizeof(cmd), 0);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, ~0U, buf, sizeof(cmd), 0);

	test_hwpt_alloc_ste(self->vm.fd, dev, viommu, smmuv3_ste_abort(),
			    &nested);
	test_vdevice_alloc(self->vm.fd, viommu, dev, VSID, &vdev);
	test_err_inv(ENOENT, ID_UNKNOWN, INV_SMMUV3, 1, buf, sizeof(cmd), 0);
	test_err_inv(EOPNOTSUPP, nested, INV_SMMUV3, 1, buf, sizeof(cmd), 0);
	test_err_inv(EINVAL, self->vm.ioas, INV_SMMUV3, 1, buf, sizeof(cmd),
		     0);
	test_err_inv(EINVAL, dev, INV_SMMUV3, 1, buf, sizeof(cmd), 0);
	test_err_inv(EINVAL, self->vm.s2, INV_SMMUV3, 1, buf, sizeof(cmd), 0);
	test_err_inv(EINVAL, vdev, INV_SMMUV3, 1, buf, sizeof(cmd), 0);

	/* No shorter commands; the tail of a longer entry is zero */
	test_inv(1, buf, page);
	test_inv(1, buf, sizeof(cmd) + 1);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, 1, buf, sizeof(cmd) - 1, 0);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, 1, buf, 8, 0);
	test_err_inv(EINVAL, viommu, INV_SMMUV3, 1, buf, 1, 0);
	memcpy(buf + page, &cmd, sizeof(cmd));
	test_inv(2, buf, page);
	munmap(buf, 2 * page);
}

TEST_F(refused, invalidate_faults)
{
	struct smmuv3_cmd cmd = smmuv3_tlbi_nh_asid(UNRELATED_ASID);
	static const size_t len[] = { 16, 24, 17 };
	const __u32 viommu = self->vm.viommu;
	const size_t page = self->vm.page;
	__u32 good, k;
	unsigned int i;
	__u8 *buf;

	buf = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buf);
	ASSERT_EQ(0, mprotect(buf + page, page, PROT_NONE));

	test_err_inv(EFAULT, viommu, INV_SMMUV3, 1, (void *)8, 16, 0);
	test_err_inv(EFAULT, viommu, INV_SMMUV3, 1, buf + page, 16, 0);
	test_err_inv(EFAULT, viommu, INV_SMMUV3, 1, buf + page - 8, 16, 0);

	/* The array ends at the unreadable page, after few or many entries */
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		for (good = 1; good * len[i] <= page; good = good * 3 + 1) {
			__u8 *p = buf + page - good * len[i];

			memset(buf, 0, page);
			for (k = 0; k < good; k++)
				memcpy(p + k * len[i], &cmd, sizeof(cmd));
			test_err_inv(EFAULT, viommu, INV_SMMUV3, good + 5, p,
				     len[i], good);
			test_inv(good, p, len[i]);
		}
	}
	munmap(buf, 2 * page);
}

/* ---- Invalidation: the commands ---- */

#define test_inv_cmd(_cmd)						\
	test_cmd(self->vm.fd, self->vm.viommu, _cmd)
#define test_err_inv_cmd(_cmd)						\
	test_err_cmd(EIO, self->vm.fd, self->vm.viommu, _cmd)

/* The features of the SMMU determine the reserved bits of a command */
struct cmd_rule {
	const char *name;
	struct smmuv3_cmd good;
	__u64 allowed[2];
};

#define NR_RULES	7

static void cmd_rules(const struct iommu_hw_info_arm_smmuv3 *info,
		      struct cmd_rule rules[NR_RULES])
{
	__u64 asid = info->idr[0] & IDR0_ASID16 ? CMD_0_ASID :
						  SMMUV3_MASK(55, 48);
	__u64 ssid = smmuv3_get(IDR1_SSIDSIZE, info->idr[1]) ? CMD_0_SSID : 0;
	__u64 range0 = 0, addr1 = CMD_1_VA | CMD_1_LEAF;

	if (info->idr[3] & IDR3_RIL) {
		range0 = CMD_0_NUM | SMMUV3_MASK(24, 20);
		/* With DS, SCALE has a sixth bit */
		if (info->idr[5] & IDR5_DS)
			range0 |= SMMUV3_BIT(25);
		addr1 |= CMD_1_TTL | CMD_1_TG;
	}

	rules[0] = (struct cmd_rule) {
		"TLBI_NSNH_ALL", smmuv3_tlbi_nsnh_all(), { 0, 0 }
	};
	rules[1] = (struct cmd_rule) {
		"TLBI_NH_ALL", smmuv3_tlbi_nh_all(), { CMD_0_VMID, 0 }
	};
	rules[2] = (struct cmd_rule) {
		"TLBI_NH_ASID", smmuv3_tlbi_nh_asid(ASID),
		{ CMD_0_VMID | asid, 0 }
	};
	rules[3] = (struct cmd_rule) {
		"TLBI_NH_VA", smmuv3_tlbi_nh_va(ASID, GUEST_VA, true),
		{ CMD_0_VMID | asid | range0, addr1 }
	};
	rules[4] = (struct cmd_rule) {
		"TLBI_NH_VAA", smmuv3_tlbi_nh_vaa(GUEST_VA, true),
		{ CMD_0_VMID | range0, addr1 }
	};
	rules[5] = (struct cmd_rule) {
		"CFGI_CD", smmuv3_cfgi_cd(VSID, 0, true),
		{ CMD_0_SID | ssid, CMD_1_LEAF }
	};
	rules[6] = (struct cmd_rule) {
		"CFGI_CD_ALL", smmuv3_cfgi_cd_all(VSID), { CMD_0_SID, 0 }
	};
}

TEST_F(refused, command_opcodes)
{
	struct cmd_rule rules[NR_RULES];
	unsigned int op, i;
	__u32 vdev;

	test_vdevice_alloc(self->vm.fd, self->vm.viommu, self->dev.id, VSID,
			   &vdev);
	cmd_rules(&self->dev.info, rules);
	for (op = 0; op < 256; op++) {
		for (i = 0; i < NR_RULES; i++)
			if ((le64toh(rules[i].good.dw[0]) & CMD_0_OP) == op)
				break;
		if (i < NR_RULES) {
			test_inv_cmd(rules[i].good)
				TH_LOG("%s", rules[i].name);
			continue;
		}
		if (op == OP_ATC_INV && self->dev.info.idr[0] & IDR0_ATS)
			continue;
		/* Without a SID, and with a valid one */
		test_err_inv_cmd(smmuv3_cmd_op(op)) TH_LOG("opcode %#x", op);
		test_err_inv_cmd(smmuv3_cmd(op | smmuv3_put(CMD_0_SID, VSID),
					    0))
			TH_LOG("opcode %#x", op);
	}
}

TEST_F(refused, command_reserved_bits)
{
	struct cmd_rule rules[NR_RULES];
	unsigned int i, bit;
	__u32 vdev;

	test_vdevice_alloc(self->vm.fd, self->vm.viommu, self->dev.id, VSID,
			   &vdev);
	cmd_rules(&self->dev.info, rules);
	for (i = 0; i < NR_RULES; i++) {
		test_inv_cmd(rules[i].good);
		for (bit = 0; bit < 128; bit++) {
			__u64 one = SMMUV3_BIT(bit % 64);
			__u64 allowed = rules[i].allowed[bit / 64];
			struct smmuv3_cmd cmd = rules[i].good;

			if ((bit < 64 && one & CMD_0_OP) || one & allowed)
				continue;
			cmd.dw[bit / 64] |= htole64(one);
			test_err_inv_cmd(cmd)
				TH_LOG("%s, word %u, bit %u", rules[i].name,
				       bit / 64, bit % 64);
		}
	}
}

/* The kernel sets the VMID. The guest can use any VA, ASID and SSID. */
TEST_F(refused, command_fields_taken)
{
	static const __u64 field[2] = { CMD_0_VMID | CMD_0_ASID, CMD_1_VA };
	struct cmd_rule rules[NR_RULES];
	unsigned int i, bit;
	__u32 vdev;

	test_vdevice_alloc(self->vm.fd, self->vm.viommu, self->dev.id, VSID,
			   &vdev);
	cmd_rules(&self->dev.info, rules);
	for (i = 0; i < NR_RULES; i++) {
		/* The SID overlaps VMID and ASID */
		if (rules[i].allowed[0] & SMMUV3_BIT(32) &&
		    (le64toh(rules[i].good.dw[0]) & CMD_0_OP) < OP_TLBI_NH_ALL)
			continue;
		for (bit = 0; bit < 128; bit++) {
			__u64 one = SMMUV3_BIT(bit % 64) & field[bit / 64] &
				    rules[i].allowed[bit / 64];
			struct smmuv3_cmd cmd = rules[i].good;

			if (!one)
				continue;
			cmd.dw[bit / 64] ^= htole64(one);
			test_inv_cmd(cmd)
				TH_LOG("%s, word %u, bit %u", rules[i].name,
				       bit / 64, bit % 64);
		}
	}
	/* LEAF can be 0 or 1 */
	test_inv_cmd(smmuv3_tlbi_nh_va(ASID, GUEST_VA, false));
	test_inv_cmd(smmuv3_tlbi_nh_vaa(GUEST_VA, false));
	test_inv_cmd(smmuv3_cfgi_cd(VSID, 0, false));
}

TEST_F(refused, command_range)
{
	struct smmuv3_cmd base[2] = {
		smmuv3_tlbi_nh_va(ASID, GUEST_VA, true),
		smmuv3_tlbi_nh_vaa(GUEST_VA, true),
	};
	const bool ds = self->dev.info.idr[5] & IDR5_DS;
	unsigned int i, tg, num, scale, ttl;

	if (!(self->dev.info.idr[3] & IDR3_RIL))
		SKIP(return, "the SMMU has no range invalidation (IDR3.RIL)");

	for (i = 0; i < ARRAY_SIZE(base); i++) {
		/* Without TG there is no range */
		test_err_inv_cmd(smmuv3_tlbi_range(base[i], 0, 1, 0, 0));
		test_err_inv_cmd(smmuv3_tlbi_range(base[i], 0, 31, 0, 0));
		test_err_inv_cmd(smmuv3_tlbi_range(base[i], 0, 0, 1, 0));
		test_err_inv_cmd(smmuv3_tlbi_range(base[i], 0, 0, 31, 0));
		for (ttl = 1; ttl < 4; ttl++)
			test_err_inv_cmd(smmuv3_tlbi_range(base[i], 0, 0, 0,
							   ttl));
		for (tg = 1; tg < 4; tg++) {
			/* A range of one granule with TTL 0 is reserved */
			test_err_inv_cmd(smmuv3_tlbi_range(base[i], tg, 0, 0,
							   0))
				TH_LOG("TG %u", tg);
			for (num = 0; num < 32; num += 31)
				for (scale = 0; scale < 5; scale += 4)
					if (num || scale)
						test_inv_cmd(smmuv3_tlbi_range(base[i],
									       tg, num,
									       scale,
									       0));
			for (ttl = 1; ttl < 4; ttl++) {
				struct smmuv3_cmd cmd;

				cmd = smmuv3_tlbi_range(base[i], tg, 0, 0, ttl);
				/* 16K has a level 1 block only with DS */
				if (tg == 2 && ttl == 1 && !ds)
					test_err_inv_cmd(cmd);
				else
					test_inv_cmd(cmd)
						TH_LOG("TG %u, TTL %u", tg,
						       ttl);
			}
		}
	}
}

TEST_F(refused, command_atc_inv)
{
	struct vm *vm = &self->vm;
	__u32 vdev;

	test_vdevice_alloc(vm->fd, vm->viommu, self->dev.id, VSID, &vdev);
	if (!(self->dev.info.idr[0] & IDR0_ATS)) {
		test_err_inv_cmd(smmuv3_atc_inv(VSID, 0, 0));
		test_err_inv_cmd(smmuv3_atc_inv(VSID, 0, 52));
		return;
	}
	test_err_inv_cmd(smmuv3_atc_inv(VSID, 0, 53));
	test_err_inv_cmd(smmuv3_atc_inv(VSID + 1, 0, 52));
}

TEST_F(refused, command_unknown_vsid)
{
	struct vm *vm = &self->vm;
	__u32 vdev;

	test_err_inv_cmd(smmuv3_cfgi_cd(VSID, 0, true));
	test_err_inv_cmd(smmuv3_cfgi_cd_all(VSID));
	test_vdevice_alloc(vm->fd, vm->viommu, self->dev.id, VSID, &vdev);
	test_inv_cmd(smmuv3_cfgi_cd(VSID, 0, true));
	test_err_inv_cmd(smmuv3_cfgi_cd(VSID + 1, 0, true));
	test_err_inv_cmd(smmuv3_cfgi_cd(0, 0, true));
	/* All 32 bits of the SID count */
	test_err_inv_cmd(smmuv3_cfgi_cd(VSID | 1U << 31, 0, true));
	test_err_inv_cmd(smmuv3_cfgi_cd_all(VSID | 1U << 16));
}

/* ---- Invalidation: partial progress ---- */

/*
 * Send @k commands, the last of which makes a new page visible, then a bad one
 * and more good ones. entry_num is @k, and exactly these are done.
 */
static void check_progress(struct __test_metadata *_metadata, struct vm *vm,
			   struct guest_dev *dev, struct smmuv3_cmd *cmds,
			   __u32 k, __u32 total, unsigned int page)
{
	__u32 i;

	for (i = 0; i < total; i++)
		cmds[i] = smmuv3_tlbi_nh_asid(UNRELATED_ASID);
	if (k)
		cmds[k - 1] = smmuv3_tlbi_nh_va(ASID, GUEST_VA, true);
	cmds[k] = smmuv3_cmd_op(0x46);	/* CMD_SYNC, not for guests */

	FACT(smmuv3_s1_map(&dev->s1, GUEST_VA, vm_ipa(vm, page), 4096, S1_RW));
	REFUSED(EIO, inv(vm->fd, vm->viommu, INV_SMMUV3, total, cmds,
			 sizeof(*cmds), k));
	if (k)
		dma_writes(dev, GUEST_VA, vm_page(vm, page))
			TH_LOG("with %u commands before a bad one", k);
}

TEST_F_TIMEOUT(refused, partial_progress, 120)
{
	static const __u32 k[] = {
		0, 1, 2, 31, 32, 33, 62, 63, 64, 65, 126, 127, 128, 129,
		255, 256, 257, 1000,
	};
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct smmuv3_cmd *cmds;
	unsigned int i;

	cmds = calloc(2048, sizeof(*cmds));
	ASSERT_NE(NULL, cmds);
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
			    smmuv3_ste_s1(dev->cd), &dev->hwpt);
	test_attach(dev, dev->hwpt);
	dma_prime(dev);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));

	for (i = 0; i < ARRAY_SIZE(k); i++)
		/* The bad one is the last, or more follow */
		check_progress(_metadata, vm, dev, cmds, k[i],
			       k[i] + 1 + (i % 3 ? 100 : 0), 1 + i % 2);
	free(cmds);
}

TEST_F(refused, partial_progress_with_a_tail)
{
	static const __u32 k[] = { 0, 1, 64, 100 };
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct {
		struct smmuv3_cmd cmd;
		__u64 tail;
	} entries[128];
	__u32 i, j;

	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
			    smmuv3_ste_s1(dev->cd), &dev->hwpt);
	test_attach(dev, dev->hwpt);
	dma_prime(dev);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));

	for (i = 0; i < ARRAY_SIZE(k); i++) {
		memset(entries, 0, sizeof(entries));
		for (j = 0; j < ARRAY_SIZE(entries); j++)
			entries[j].cmd = smmuv3_tlbi_nh_asid(UNRELATED_ASID);
		if (k[i])
			entries[k[i] - 1].cmd = smmuv3_tlbi_nh_va(ASID,
								  GUEST_VA,
								  true);
		entries[k[i]].tail = 1ULL << 63;
		FACT(smmuv3_s1_map(&dev->s1, GUEST_VA, vm_ipa(vm, 1 + i % 2),
				   4096, S1_RW));
		test_err_inv(E2BIG, vm->viommu, INV_SMMUV3,
			     ARRAY_SIZE(entries), entries, sizeof(entries[0]),
			     k[i]);
		if (k[i])
			dma_writes(dev, GUEST_VA, vm_page(vm, 1 + i % 2))
				TH_LOG("with %u commands before", k[i]);
		entries[k[i]].tail = 0;
		test_inv(ARRAY_SIZE(entries), entries, sizeof(entries[0]));
	}
}

TEST_F_TIMEOUT(refused, as_many_as_allowed, 120)
{
	const size_t size = MAX_ENTRIES * sizeof(struct smmuv3_cmd);
	struct smmuv3_cmd *cmds;
	__u32 i;

	cmds = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmds);
	for (i = 0; i < MAX_ENTRIES; i++)
		cmds[i] = smmuv3_tlbi_nh_asid(UNRELATED_ASID);
	test_inv(MAX_ENTRIES, cmds, sizeof(*cmds));

	cmds[MAX_ENTRIES - 1] = smmuv3_cmd_op(0);
	test_err_inv(EIO, self->vm.viommu, INV_SMMUV3, MAX_ENTRIES, cmds,
		     sizeof(*cmds), MAX_ENTRIES - 1);
	munmap(cmds, size);
}

TEST_HARNESS_MAIN
