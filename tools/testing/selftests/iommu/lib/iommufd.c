// SPDX-License-Identifier: GPL-2.0
/* One function per iommufd ioctl */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "iommufd.h"

int iommufd_cmd(int fd, unsigned long req, void *arg)
{
	int ret = ioctl(fd, req, arg);

	return ret < 0 ? -errno : ret;
}

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommufd_destroy(int fd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return iommufd_cmd(fd, IOMMU_DESTROY, &cmd);
}

int iommufd_ioas_alloc(int fd, __u32 *ioas_id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = iommufd_cmd(fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!ret)
		*ioas_id = cmd.out_ioas_id;
	return ret;
}

int iommufd_ioas_map(int fd, __u32 ioas_id, const void *va, __u64 length,
		     __u64 iova, __u32 prot)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return iommufd_cmd(fd, IOMMU_IOAS_MAP, &cmd);
}

int iommufd_ioas_map_file(int fd, __u32 ioas_id, int memfd, __u64 start,
			  __u64 length, __u64 iova, __u32 prot)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
		.ioas_id = ioas_id,
		.fd = memfd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return iommufd_cmd(fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

int iommufd_ioas_unmap(int fd, __u32 ioas_id, __u64 iova, __u64 length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = length,
	};

	return iommufd_cmd(fd, IOMMU_IOAS_UNMAP, &cmd);
}

int iommufd_ioas_iova_ranges(int fd, __u32 ioas_id,
			     struct iommu_iova_range *ranges, __u32 *num)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.num_iovas = *num,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int ret = iommufd_cmd(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*num = cmd.num_iovas;
	return ret;
}

int iommufd_hwpt_alloc_data(int fd, __u32 dev_id, __u32 pt_id, __u32 flags,
			    __u32 data_type, const void *data, __u32 data_len,
			    __u32 *hwpt_id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = pt_id,
		.data_type = data_type,
		.data_len = data_len,
		.data_uptr = (uintptr_t)data,
	};
	int ret = iommufd_cmd(fd, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret)
		*hwpt_id = cmd.out_hwpt_id;
	return ret;
}

int iommufd_hwpt_alloc(int fd, __u32 dev_id, __u32 ioas_id, __u32 flags,
		       __u32 *hwpt_id)
{
	return iommufd_hwpt_alloc_data(fd, dev_id, ioas_id, flags,
				       IOMMU_HWPT_DATA_NONE, NULL, 0, hwpt_id);
}

int iommufd_hwpt_alloc_ste(int fd, __u32 dev_id, __u32 viommu_id,
			   struct iommu_hwpt_arm_smmuv3 ste, __u32 *hwpt_id)
{
	return iommufd_hwpt_alloc_data(fd, dev_id, viommu_id, 0,
				       IOMMU_HWPT_DATA_ARM_SMMUV3, &ste,
				       sizeof(ste), hwpt_id);
}

int iommufd_viommu_alloc(int fd, __u32 dev_id, __u32 hwpt_id, __u32 type,
			 __u32 *viommu_id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = type,
		.dev_id = dev_id,
		.hwpt_id = hwpt_id,
	};
	int ret = iommufd_cmd(fd, IOMMU_VIOMMU_ALLOC, &cmd);

	if (!ret)
		*viommu_id = cmd.out_viommu_id;
	return ret;
}

int iommufd_vdevice_alloc(int fd, __u32 viommu_id, __u32 dev_id, __u64 virt_id,
			  __u32 *vdevice_id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.dev_id = dev_id,
		.virt_id = virt_id,
	};
	int ret = iommufd_cmd(fd, IOMMU_VDEVICE_ALLOC, &cmd);

	if (!ret)
		*vdevice_id = cmd.out_vdevice_id;
	return ret;
}

int iommufd_veventq_alloc(int fd, __u32 viommu_id, __u32 type, __u32 depth,
			  __u32 *veventq_id, int *veventq_fd)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.type = type,
		.veventq_depth = depth,
	};
	int ret = iommufd_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd);

	if (!ret) {
		*veventq_id = cmd.out_veventq_id;
		*veventq_fd = cmd.out_veventq_fd;
	}
	return ret;
}

int iommufd_invalidate(int fd, __u32 id, __u32 data_type, const void *entries,
		       __u32 entry_len, __u32 *num)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_type = data_type,
		.data_uptr = (uintptr_t)entries,
		.entry_len = entry_len,
		.entry_num = *num,
	};
	int ret = iommufd_cmd(fd, IOMMU_HWPT_INVALIDATE, &cmd);

	*num = cmd.entry_num;
	return ret;
}

int iommufd_hw_info(int fd, __u32 dev_id, __u32 *type, void *data, __u32 *len,
		    __u64 *caps)
{
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.data_len = *len,
		.data_uptr = (uintptr_t)data,
	};
	int ret = iommufd_cmd(fd, IOMMU_GET_HW_INFO, &cmd);

	if (ret)
		return ret;
	*type = cmd.out_data_type;
	*len = cmd.data_len;
	if (caps)
		*caps = cmd.out_capabilities;
	return 0;
}
