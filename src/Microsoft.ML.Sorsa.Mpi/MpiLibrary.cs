using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Sorsa.Mpi;

/// <summary>
/// The few functions of MPI's C interface that are needed, of whichever library is there. Open MPI and MPICH have the same names and
/// another binary interface: what the header calls MPI_COMM_WORLD and MPI_BYTE is in Open MPI the address of an object that the library
/// exports, in MPICH (and Intel MPI, MVAPICH) a number. An argument of either kind travels in one register, where the callee takes the
/// part it knows.
/// </summary>
internal sealed unsafe class MpiLibrary
{
    private const int Success = 0, Serialized = 2, LongestText = 8192;

    /// <summary>As they name themselves.</summary>
    private static readonly string[] s_likeMpich = ["MPICH", "Intel(R) MPI", "MVAPICH"];

    /// <summary>What is called.</summary>
    private static readonly string[] s_functions =
    [
        "MPI_Init_thread", "MPI_Comm_rank", "MPI_Comm_size", "MPI_Alltoall", "MPI_Allgather", "MPI_Bcast", "MPI_Abort", "MPI_Finalize",
        "MPI_Get_library_version",
    ];

    private readonly nint _library;
    private readonly nint _world, _byte;

    private MpiLibrary(nint library, string path)
    {
        _library = library;
        string[] missing = [.. s_functions.Where(function => !NativeLibrary.TryGetExport(library, function, out _))];
        if (missing.Length > 0)
        {
            throw new NotSupportedException(
                $"The library '{path}' has no {string.Join(", ", missing)}: it is no MPI library, or one from before MPI 3. Install "
                + "Open MPI or MPICH, or name its file: SorsaMpi.Initialize(library).");
        }

        Name = Version();
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _world))
        {
            _byte = NativeLibrary.GetExport(library, "ompi_mpi_byte");
        }
        else if (s_likeMpich.Any(known => Name.Contains(known, StringComparison.Ordinal)))
        {
            // mpi.h of MPICH: part of the interface that these libraries have agreed on.
            (_world, _byte) = (0x44000000, 0x4c00010d);
        }
        else
        {
            throw new NotSupportedException(
                $"The MPI library '{path}' calls itself '{Name}', whose binary interface is not known here. Install Open MPI or MPICH, or "
                + "name its file: SorsaMpi.Initialize(library).");
        }
    }

    /// <summary>Product and version.</summary>
    public string Name { get; }

    /// <summary>Loads one; its name comes from the launcher, whose processes find each other through the same product alone.</summary>
    /// <param name="file">A file, or a name that the system's loader finds; null: the usual names.</param>
    /// <param name="launcher">What started this process.</param>
    /// <exception cref="DllNotFoundException">There is none.</exception>
    /// <exception cref="NotSupportedException">It is of another kind.</exception>
    public static MpiLibrary Load(string? file, Launcher launcher)
    {
        string[] openMpi = ["libmpi.so.40", "libmpi.40.dylib"], mpich = ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib"];
        string[] names = file is not null ? [file]
            : launcher.IsOpenMpi ? [.. openMpi, .. mpich]
            : [.. mpich, .. openMpi];
        var faults = new List<string>();
        foreach (string name in names)
        {
            if (Open(name, out string fault) is var library and not 0)
            {
                return new MpiLibrary(library, name);
            }

            faults.Add(fault);
        }

        throw new DllNotFoundException(
            $"{launcher.Name} started this process, and there is no MPI library to load: {string.Join("; ", faults)}. "
            + "Install it on every machine (Debian, Ubuntu: apt-get install openmpi-bin, or mpich), or name its file: "
            + "SorsaMpi.Initialize(library).");
    }

    /// <summary>Joins the others.</summary>
    /// <exception cref="NotSupportedException">The library may be called from one thread only.</exception>
    public void Initialize()
    {
        int provided = 0;
        var init = (delegate* unmanaged<int*, byte***, int, int*, int>)Export("MPI_Init_thread");
        Verify(init(null, null, Serialized, &provided), "MPI_Init_thread");
        if (provided < Serialized)
        {
            throw new NotSupportedException(
                $"{Name} may be called from one thread alone, and a training may run on any: install a build with thread support.");
        }
    }

    public int Rank => Number("MPI_Comm_rank");

    public int Count => Number("MPI_Comm_size");

    /// <summary>Rank r's piece s goes to rank s as its piece r.</summary>
    /// <param name="from">Pieces of one size, one for each rank.</param>
    /// <param name="to">As long.</param>
    /// <param name="piece">Bytes.</param>
    public void AllToAll(ReadOnlySpan<byte> from, Span<byte> to, int piece)
    {
        var function = (delegate* unmanaged<byte*, int, nint, byte*, int, nint, nint, int>)Export("MPI_Alltoall");
        fixed (byte* source = from, target = to)
        {
            Verify(function(source, piece, _byte, target, piece, _byte, _world), "MPI_Alltoall");
        }
    }

    /// <summary>Every rank's piece goes to everybody, one behind the other.</summary>
    public void AllGather(ReadOnlySpan<byte> from, Span<byte> to)
    {
        var function = (delegate* unmanaged<byte*, int, nint, byte*, int, nint, nint, int>)Export("MPI_Allgather");
        fixed (byte* source = from, target = to)
        {
            Verify(function(source, from.Length, _byte, target, from.Length, _byte, _world), "MPI_Allgather");
        }
    }

    /// <summary>The first rank's bytes go to everybody.</summary>
    public void Broadcast(Span<byte> values)
    {
        var function = (delegate* unmanaged<byte*, int, nint, int, nint, int>)Export("MPI_Bcast");
        fixed (byte* target = values)
        {
            Verify(function(target, values.Length, _byte, 0, _world), "MPI_Bcast");
        }
    }

    /// <summary>Ends every rank; does not return.</summary>
    public void Abort(int exitCode)
    {
        var function = (delegate* unmanaged<nint, int, int>)Export("MPI_Abort");
        Verify(function(_world, exitCode), "MPI_Abort");
    }

    /// <summary>Leaves the others.</summary>
    public void Finish() => Verify(((delegate* unmanaged<int>)Export("MPI_Finalize"))(), "MPI_Finalize");

    /// <summary>A library's handle; 0 where it cannot be loaded.</summary>
    private static nint Open(string name, out string fault)
    {
        fault = name;
        if (!OperatingSystem.IsLinux())
        {
            return NativeLibrary.TryLoad(name, out nint library) ? library : 0;
        }

        // Parts of Open MPI are loaded while it runs and look for its functions among what the process has: RTLD_NOW and RTLD_GLOBAL,
        // which NativeLibrary does not have. Since glibc 2.34 libdl's functions are libc's, which are found through libdl as well.
        const int NowGlobal = 0x102;
        nint loader = NativeLibrary.Load("libdl.so.2");
        var open = (delegate* unmanaged<byte*, int, nint>)NativeLibrary.GetExport(loader, "dlopen");
        var error = (delegate* unmanaged<nint>)NativeLibrary.GetExport(loader, "dlerror");
        fixed (byte* file = Encoding.UTF8.GetBytes(name + '\0'))
        {
            nint library = open(file, NowGlobal);
            if (library == 0)
            {
                // Asked at once: every look-up in between forgets it.
                fault = Marshal.PtrToStringUTF8(error()) ?? name;
            }

            return library;
        }
    }

    private nint Export(string name) => NativeLibrary.GetExport(_library, name);

    private int Number(string function)
    {
        int value = 0;
        Verify(((delegate* unmanaged<nint, int*, int>)Export(function))(_world, &value), function);
        return value;
    }

    /// <summary>May be asked before MPI is initialized.</summary>
    private string Version()
    {
        int length = 0;
        byte[] text = new byte[LongestText];
        var function = (delegate* unmanaged<byte*, int*, int>)Export("MPI_Get_library_version");
        fixed (byte* target = text)
        {
            Verify(function(target, &length), "MPI_Get_library_version");
        }

        // "Open MPI v4.1.4, package: ...", and several lines of MPICH, with tabs between names and values.
        string whole = Encoding.UTF8.GetString(text, 0, Math.Clamp(length, 0, text.Length)).TrimEnd('\0');
        return whole.Split('\n')[0].Split(", package")[0].Replace("\t", " ", StringComparison.Ordinal).Trim();
    }

    /// <summary>By default the library ends every rank itself, with a message; one that does not says so by its result.</summary>
    private static void Verify(int result, string function)
    {
        if (result != Success)
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"{function} failed with the code {result}: another rank has ended, ")
                + "or the connection to it is lost. Start the training again; it goes on from its newest checkpoint.");
        }
    }
}
