using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ReproducePaper;

/// <summary>
/// The study on disk: its settings, and a file for every run that is done. A study that was stopped goes on with the runs that have none;
/// a file is there when it is whole.
/// </summary>
internal sealed class StudyFolder
{
    public static JsonSerializerOptions Json { get; } = new()
    {
        Converters = { new JsonStringEnumConverter() },
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,

        // What follows from the others, such as where the program lies, is no setting.
        IgnoreReadOnlyProperties = true,
    };

    private readonly string _folder;

    private StudyFolder(string folder, StudySettings settings)
    {
        _folder = folder;
        Settings = settings;
    }

    public StudySettings Settings { get; }

    /// <summary>Opens the folder for a study; what an interrupted one left is used again.</summary>
    /// <exception cref="InvalidOperationException">It holds another study.</exception>
    public static StudyFolder Open(string folder, StudySettings settings)
    {
        settings = settings with { Checksums = Checksums(settings) };
        Directory.CreateDirectory(Path.Combine(folder, "runs"));
        string file = SettingsFile(folder), text = JsonSerializer.Serialize(settings, Json);
        if (!File.Exists(file))
        {
            Write(file, text);
        }
        else if (File.ReadAllText(file) != text)
        {
            throw new InvalidOperationException(
                $"{file} describes another study than the command line, or its files have changed: runs of two studies cannot stand in "
                + "one table. Name another folder with --out, or give the settings that it was begun with.");
        }

        return new StudyFolder(folder, settings);
    }

    /// <summary>As a process that trains one run sees it.</summary>
    public static StudyFolder Read(string folder) => new(
        folder, JsonSerializer.Deserialize<StudySettings>(File.ReadAllText(SettingsFile(folder)), Json)!);

    /// <summary>The result of a run that is done, or null.</summary>
    public RunResult? Find(Run run)
    {
        string file = FileOf(run);
        if (!File.Exists(file))
        {
            return null;
        }

        try
        {
            RunResult result = JsonSerializer.Deserialize<RunResult>(File.ReadAllText(file), Json)!;
            return result.Run == run ? result : throw new InvalidDataException($"{file} holds another run than its name says. Delete it.");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{file} is damaged: {error.Message} Delete it; the run is done again.", error);
        }
    }

    public void Add(RunResult result) => Write(FileOf(result.Run), JsonSerializer.Serialize(result, Json));

    /// <summary>A file of the study's folder.</summary>
    public string PathOf(string name) => Path.Combine(_folder, name);

    /// <summary>Written beside and renamed, so that a kill leaves no half of a file.</summary>
    public static void Write(string path, string text)
    {
        string temporary = path + ".new";
        using (FileStream stream = File.Create(temporary))
        using (var writer = new StreamWriter(stream))
        {
            writer.Write(text);
            writer.Flush();
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    private static string SettingsFile(string folder) => Path.Combine(folder, "study.json");

    private string FileOf(Run run) => Path.Combine(_folder, "runs", string.Create(CultureInfo.InvariantCulture,
        $"{run.Kind}-{run.Method}-{run.LearningRate:R}{(run.Gamma is { } gamma ? $"-gamma{gamma:R}" : "")}-{run.Seed}.json"));

    /// <summary>Of every file by what it is for; of the weights their sizes, since they take long to read.</summary>
    private static SortedDictionary<string, string> Checksums(StudySettings settings)
    {
        (string Name, string? Path)[] files =
        [
            ("config.json", Path.Combine(settings.ModelFolder, "config.json")), ("train", settings.Train), ("gsm8k", settings.Gsm8k),
            ("math", settings.Math), ("text", settings.Text), ("choices", settings.Choices),
            .. Directory.GetFiles(settings.ModelFolder, "tokenizer*").Select(file => (Path.GetFileName(file), (string?)file)),
        ];
        var sums = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, string? path) in files)
        {
            if (path is not null)
            {
                using FileStream stream = File.OpenRead(path);
                sums[name] = Convert.ToHexStringLower(SHA256.HashData(stream));
            }
        }

        foreach (string weights in Directory.GetFiles(settings.ModelFolder, "*.safetensors"))
        {
            sums[Path.GetFileName(weights)] = string.Create(CultureInfo.InvariantCulture, $"{new FileInfo(weights).Length} bytes");
        }

        return sums;
    }
}
