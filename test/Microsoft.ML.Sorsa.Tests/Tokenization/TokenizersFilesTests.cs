using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersFilesTests
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    [TestCleanup]
    public void Clean()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [TestMethod]
    public void WritesWhatItRead()
    {
        TokenizerFiles files = TokenizerFiles.FromFolder(TestData.TinyLlama);
        using (var folder = new NewFolder(_folder, "folder"))
        {
            files.WriteTo(folder);
            folder.Commit();
        }

        TokenizerFiles again = TokenizerFiles.FromFolder(_folder);
        CollectionAssert.AreEqual(files.Names.ToArray(), again.Names.ToArray());
        CollectionAssert.AreEqual(files.Names.Order().ToArray(), Directory.GetFiles(_folder).Select(Path.GetFileName).Order().ToArray());
        foreach (string name in files.Names)
        {
            CollectionAssert.AreEqual(File.ReadAllBytes(Path.Combine(TestData.TinyLlama, name)), again.Find(name), name);
        }
    }

    [TestMethod]
    public void NamesAFolderThatIsNotThere() =>
        Assert.Contains(_folder, Assert.ThrowsExactly<DirectoryNotFoundException>(() => TokenizerFiles.FromFolder(_folder)).Message);

    [TestMethod]
    public void NamesAFolderWithoutATokenizer()
    {
        Directory.CreateDirectory(_folder);
        File.WriteAllText(Path.Combine(_folder, TokenizerFiles.TokenizerConfig), "{}");
        FileNotFoundException error = Assert.ThrowsExactly<FileNotFoundException>(() => TextTokenizer.Load(_folder));
        Assert.Contains($"'{_folder}' holds neither tokenizer.json nor tokenizer.model", error.Message);
    }

    [TestMethod]
    [DataRow("../tokenizer.json")]
    [DataRow("a/tokenizer.json")]
    [DataRow("/tokenizer.json")]
    [DataRow("Tokenizer.json")]
    [DataRow("model.safetensors")]
    [DataRow("")]
    public void RefusesOtherNames(string name)
    {
        InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
            () => new TokenizerFiles([KeyValuePair.Create(name, Array.Empty<byte>())]));
        Assert.Contains($"'{name}' is not a tokenizer file", error.Message);
    }

    [TestMethod]
    public void RefusesFilesWithoutAVocabularyAndFilesThatComeTwice()
    {
        Assert.ThrowsExactly<InvalidDataException>(
            () => new TokenizerFiles([KeyValuePair.Create(TokenizerFiles.TokenizerConfig, Array.Empty<byte>())]));
        KeyValuePair<string, byte[]> json = KeyValuePair.Create(TokenizerFiles.TokenizerJson, Array.Empty<byte>());
        Assert.Contains("comes twice", Assert.ThrowsExactly<InvalidDataException>(() => new TokenizerFiles([json, json])).Message);
    }
}
