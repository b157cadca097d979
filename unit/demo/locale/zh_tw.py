"""The page in Traditional Chinese as it is written in Taiwan: what each English text becomes.

A key is the English text as it stands in the code, with its {places} unfilled. Which Chinese word stands for which
English one is decided in GLOSSARY.md, beside this file.
"""

from unit.demo import texts

TABLE = {
    # domains
    "summer": "夏天",
    "winter": "冬天",
    "cat": "貓",
    "dog": "狗",
    "day": "白天",
    "night": "夜晚",
    # texts
    texts.TITLE: """
# 瀏覽器裡的 UNIT
把夏天變成冬天、白天變成夜晚、貓變成狗。結果都是虛構的：模型從來沒看過同一個景物的兩種樣貌。
""",
    texts.BOTH: """
照片轉換成另一類的結果；以及把它當成已經是另一類，反過來轉換的結果。
""",
    texts.KEPT: """
### 還原與差異
照片依原本的樣貌還原一次，以及轉換過去再轉換回來。旁邊的差異圖標出與照片不同的地方：越暗，差得越少。
""",
    texts.FILM: """
在您的照片的各種變化之間繞一圈，做成頭尾相接的影片。強度、變化的粗細與亂數種子，用的是「變化」的設定。
""",
    texts.MIX: """
兩張照片都先轉成模型自己的描述，再看看兩者之間的樣子。第二張會裁成與第一張相同的形狀。最好兩張都是轉換前那一類的照片。
""",
    texts.FROM_NOISE: """
不用照片：把一團純雜訊當成照片的描述，分別生成兩種樣貌。互相對應的是顏色、光線與質感。**請不要期待看到風景**：
模型學會的是照片的描述，而純雜訊很少與它相似。溫度 1、粗細 1 是論文的先驗分布；調高一些，會更接近真實照片的描述。
""",
    texts.ABOUT: """
兩個編碼器、兩個解碼器，共用一個潛在空間。任一類照片都會編碼成一個高斯分布，中心是一小張潛在圖（多小要看模型，
見下方）；空間裡的任何一點，都能解碼成任一類照片。解碼成另一類，就是轉換。訓練時，從來沒有給模型看過同一個景物的
成對照片。
""",
    texts.LIMITS: """
**限制。** 一張照片幾乎只有一種轉換結果：UNIT 是單模態的，變化不大。它只認得訓練照片裡有的東西。結果是虛構的，
不能當作任何事物真實樣貌的證據。

**論文**：Liu, Breuel, Kautz, *Unsupervised Image-to-Image Translation Networks*, NIPS 2017,
[arXiv:1703.00848](https://arxiv.org/abs/1703.00848)。它的**後繼者** [MUNIT](https://arxiv.org/abs/1804.04732)
能替一張照片給出多種結果。本網站的程式依論文重新寫成。
""",
    texts.BETWEEN_STYLES: """
從結果的風格走到另一種風格：先在結果下方保留一種風格，或加入一張想要變得像它的照片，再到這裡選擇。途中改變的是顏色、毛色或光線，
照片的內容不變。
""",
    texts.FILM_OF_STYLES: """
在各種風格之間繞一圈，做成頭尾相接的影片。保留了兩種以上的風格時，依序經過這些風格；否則經過隨機的風格，強度用的是「風格」的設定。
""",
    texts.NOISE_OF_STYLES: """
不用照片：把一團純雜訊當成照片的描述，風格也隨機決定，分別生成兩種樣貌。互相對應的是光線與質感。**請不要期待看到風景或動物**：
這個模型學會了照片的風格大致如何分布，卻沒有學過照片的描述如何分布。
""",
    texts.ABOUT_STYLES: """
兩個內容編碼器、兩個風格編碼器，以及兩個解碼器。內容是兩類照片共有的部分，是一小張數字圖（多小要看模型，見下方）；
風格是描述整張照片的幾個數字，兩類各有各的風格。轉換，就是把您的照片的內容，配上另一種風格，解碼成另一類：
風格可以隨機決定、取自範例照片；沒有指定時，用平均的風格。訓練時，從來沒有給模型看過同一個景物的成對照片。
""",
    texts.LIMITS_STYLES: """
**限制。** 整張照片只有一種風格：它改變的主要是顏色、光線與質感，而不是形狀；範例照片的風格，也只能像到幾個數字
所能描述的程度。
模型只認得訓練照片裡有的東西。結果是虛構的，不能當作任何事物真實樣貌的證據。

**論文**：Huang, Liu, Belongie, Kautz, *Multimodal Unsupervised Image-to-Image Translation*, ECCV 2018,
[arXiv:1804.04732](https://arxiv.org/abs/1804.04732)。它是 [UNIT](https://arxiv.org/abs/1703.00848) 的後繼者，
而 UNIT 替每張照片只給出一種結果。本網站的程式依論文重新寫成。
""",
    # the left-hand side
    "Your photo": "您的照片",
    "Drop a photo here, or click to choose one": "把照片拖曳到這裡，或點一下來選擇",
    "Size of the face": "臉的大小",
    "From the left": "與左緣的距離",
    "From the top": "與上緣的距離",
    "Aitzgorri": "艾茨戈里山",
    "Forest stream": "林間溪流",
    "Picos de Europa": "歐羅巴山",
    "Summer Palace": "頤和園",
    "Chelsea": "貓咪 Chelsea",
    "Palace by day": "白天的頤和園",
    "A kitten": "小貓",
    "Shepherd dog": "牧羊犬",
    "Castle": "城堡",
    "Tower Bridge at night": "夜晚的倫敦塔橋",
    "Could not load {missing} from the Hugging Face Hub.": "無法從 Hugging Face Hub 載入 {missing}。",
    "Could not load {missing} from the Hugging Face Hub. These models came with the app.": (
        "無法從 Hugging Face Hub 載入 {missing}。這些是隨附的模型。"
    ),
    # what is told of the page
    "UNIT in the browser": "瀏覽器裡的 UNIT",
    "Turn summer into winter, day into night, a cat into a dog, with photos of your own or with examples.": (
        "把夏天變成冬天、白天變成夜晚、貓變成狗：用您自己的照片，或用範例試試看。"
    ),
    "Photos, and what the models made of them": "照片，以及模型轉換的結果",
    "A photo, and what the model made of it: {way}": "一張照片，以及模型轉換的結果：{way}",
    # what Gradio says
    "Upload file": "上傳檔案",
    "Capture from camera": "用相機拍照",
    "Paste from clipboard": "從剪貼簿貼上",
    "Click to Access Webcam": "點一下來開啟相機",
    "capture photo": "拍照",
    "Remove Image": "移除圖片",
    "Fullscreen": "全螢幕",
    "Exit fullscreen mode": "離開全螢幕",
    "Close": "關閉",
    # the slider over two pictures, and the strip of results
    "Before and after: how much of each is seen": "轉換前與轉換後：各看到多少",
    "{before} % before, {after} % after": "轉換前 {before}%，轉換後 {after}%",
    "Before": "轉換前",
    "After": "轉換後",
    "Full screen": "全螢幕",
    "The result is on its way …": "結果馬上就好……",
    "The result will appear here.": "結果會顯示在這裡。",
    "This result is no longer here.": "這個結果已經不在了。",
    "Results of this visit": "這次的結果",
    "### Results of this visit": "### 這次的結果",
    # names of files
    "{domain}": "變{domain}",
    "full": "完整解析度",
    "before-and-after": "轉換前後",
    "film": "變化影片",
    "mix": "混合影片",
    "from-noise": "憑空生成",
    # results
    "Full resolution": "完整解析度",
    "Download in full resolution": "下載完整解析度的結果",
    "Cancel": "取消",
    "Reading the photo …": "正在讀取照片……",
    "Done: {size} pixels": "完成：{size} 像素",
    "Stopped.": "已停止。",
    "Photo": "照片",
    "There and back": "轉換過去再回來",
    "Difference": "差異",
    "Difference: {share:.1%}": "差異：{share:.1%}",
    # samples
    "Temperature": "溫度",
    "Seed": "亂數種子",
    "New seed": "換一個",
    # between
    "Second photo": "第二張照片",
    "Make a film of it": "製作影片",
    "Download the film": "下載影片",
    "Film": "影片",
    "From one photo to the other and back": "從一張照片變成另一張，再變回來",
    # dreams
    "Pairs": "組數",
    # inside
    "Where the weights come from: the model card": "權重的來源：模型說明（英文）",
    "About the example photos": "關於範例照片",
    "Make a link to these settings": "產生這些設定的連結",
    "Link": "連結",
    "- **Network**: {number:.1f} million parameters for both domains, layout `{layout}`; the last {blocks} of both "
    "encoders and the first of both decoders are shared.": (
        "- **網路**：兩類照片共 {number:.1f} 百萬個參數，配置 `{layout}`；"
        "兩個編碼器最後的 {blocks}共用，兩個解碼器最前面的也共用。"
    ),
    "residual block": "1 個殘差區塊",
    "{n} residual blocks": "{n} 個殘差區塊",
    "- **Latent**: {n} numbers for every {d} x {d} pixels.": "- **潛在空間**：每 {d} x {d} 像素有 {n} 個數值。",
    "- **Network**: {number:.1f} million parameters for both domains, layout `{layout}`.": (
        "- **網路**：兩類照片共 {number:.1f} 百萬個參數，配置 `{layout}`。"
    ),
    "- **Content**: {n} numbers for every {d} x {d} pixels. **Style**: {s} numbers for the whole photo.": (
        "- **內容**：每 {d} x {d} 像素有 {n} 個數值。**風格**：整張照片 {s} 個數值。"
    ),
    "- **Trained on** crops of {n} pixels.": "- **訓練時**看的是裁成 {n} 像素的圖片。",
    "There are no measures of these weights here.": "這裡沒有這個模型的評量結果。",
    "Judged by {judge} on held-out photos of `{data}`, {n} px.": (
        "由 {judge} 評量，用的是 `{data}` 裡沒有用來訓練的照片，{n} 像素。"
    ),
    "success (linear probe)": "成功率（線性探測）",
    "success (ImageNet classes)": "成功率（ImageNet 類別）",
    "colours outside of 99 % of real ones": "顏色超出 99 % 真實照片的比例",
    "weave in smooth regions": "平滑區域的網紋",
    "distance to the input": "與原照片的距離",
    "distance to the input after the cycle": "轉換過去再回來後，與原照片的距離",
    "reconstruction distance": "還原的距離",
    "reconstruction error (L1)": "還原的誤差（L1）",
    **{
        f"diversity at temperature {temperature}, grain {grain}": f"溫度 {temperature}、粗細 {grain} 的多樣性"
        for temperature in ("0.5", "1", "2")
        for grain in (1, 8)
    },
    "All other measures": "其他所有評量",
    "not a number": "無法計算",
    # the three steps
    "## 1. Choose a transformation": "## 1. 選擇要把什麼變成什麼",
    "What to turn into what": "把什麼變成什麼",
    "## 2. Bring a photo": "## 2. 加入一張照片",
    "Or take an example": "或選一個範例",
    "Adjust the face": "調整臉的位置",
    "Your photo, with squares around the faces": "您的照片，臉上有方框",
    "The square around the face": "框住臉的方框",
    "Tap a face, or drag the square onto it; pull its corners to fit it. With the keyboard, arrows move it, and + "
    "and − resize it.": (
        "點一下臉，或把方框拖曳到臉上，再拉四個角調整大小。用鍵盤時，方向鍵可移動方框，+ 和 − 可調整大小。"
    ),
    "Take face {number}": "選第 {number} 張臉",
    "The face: {across} % from the left, {down} % from the top, size {side} %": (
        "臉的位置：與左緣的距離 {across}%，與上緣的距離 {down}%，大小 {side}%"
    ),
    "Show only the square": "只顯示方框裡的部分",
    "Made up winter": "虛構的冬天",
    "Made up night": "虛構的夜晚",
    "Made up": "虛構的圖",
    "## 3. Result": "## 3. 結果",
    "⇄ Other way round": "⇄ 反過來",
    "Download": "下載",
    "Use as input": "用結果再轉換一次",
    "Undo": "復原",
    "{name}, {way}": "{name}，{way}",
    "An example. The photo is on the left, and on the right is what the model made up.": (
        "這是範例：左邊是照片，右邊是模型想像出來的樣子。"
    ),
    "Your photo is on the left, and on the right is what the model made up.": (
        "左邊是您的照片，右邊是模型想像出來的樣子。"
    ),
    "It is unlike the photos that this model has learnt from, so the result may be poor; the examples show what suits "
    "it.": "這類照片和模型學過的照片差別較大，結果可能不太理想；範例照片就是它擅長的類型。",
    "There is the face of a cat or a dog in it: {ways} is made for those.": (
        "照片裡有貓或狗的臉：{ways}更適合這樣的照片。"
    ),
    "No face was found here, so the middle of the photo was taken. Under “Adjust the face” you can drag the square "
    "onto the face; one seen from the front works best.": (
        "在這張照片裡沒有找到臉，所以取用正中央的部分。可以在「調整臉的位置」裡把方框拖曳到臉上；正面的臉效果最好。"
    ),
    "There are several faces in it: under “Adjust the face” you can tap another.": (
        "照片裡有好幾張臉：可以在「調整臉的位置」裡點選另一張。"
    ),
    "{done} of {tiles} parts are done": "已完成 {done} 塊，共 {tiles} 塊",
    "Take it along": "帶走結果",
    "Before and after as one picture": "轉換前後放在一張圖片裡",
    "The slider as a GIF": "滑桿移動的 GIF",
    "With a line that says what made it": "加上一行說明是用什麼做的",
    "Download the file": "下載檔案",
    "Download the picture": "下載圖片",
    "Download the GIF": "下載 GIF",
    # variations
    "### Variations": "### 變化",
    "Variations: choose one": "變化：請選一張",
    "Variation {number}": "變化 {number}",
    "### Styles": "### 風格",
    "Style {number}": "風格 {number}",
    "Make it look like this one": "變得像這張照片",
    "Keep this style": "保留這個風格",
    "Kept styles: choose one": "保留的風格：請選一個",
    "Kept style {number}": "保留的風格 {number}",
    "Between two styles": "兩種風格之間",
    "Towards": "目標風格",
    "The photo it shall look like": "想要變得像它的照片",
    "How much of the other style": "目標風格的比例",
    "The photo in a style between both": "風格介於兩者之間的照片",
    "Take it as the result": "設為結果",
    "From one style to the other and back": "從一種風格到另一種，再回來",
    "style": "風格",
    "Please keep a style first, or add a photo that it shall look like.": (
        "請先保留一種風格，或加入一張想要變得像它的照片。"
    ),
    "A style of this model is {n} numbers: please choose another one.": "這個模型的風格是 {n} 個數字：請另選一種風格。",
    "This model has no styles: leave the style out.": "這個模型沒有風格可選：請不要指定風格。",
    "style_seed and style_image contradict each other: leave out one.": (
        "style_seed 與 style_image 互相矛盾：請只給其中一個。"
    ),
    "More": "更多",
    "Strength": "強度",
    "subtle … wild": "細微……狂野",
    "Advanced": "進階設定",
    "The strength as a number. 0: no noise. 1: as in training.": "以數字表示的強度。0：沒有雜訊。1：與訓練時相同。",
    "Size of changes": "變化的粗細",
    "From fine to coarse, in latent pixels.": "由細到粗，以潛在圖的像素計。",
    # more
    "## More": "## 更多玩法",
    "Both directions": "兩個方向",
    "Result": "結果",
    "Other way round": "反過來",
    "Reconstruction": "還原",
    "The photo": "照片",
    "The photo as the other kind": "轉換成另一類的照片",
    "The photo, taken for the other kind": "當成另一類、反過來轉換的照片",
    "The photo, reconstructed as its own kind": "依原本的樣貌還原的照片",
    "The photo, turned into the other kind and back": "轉換過去再轉換回來的照片",
    "Where it differs from the photo": "與照片不同的地方",
    "Film of variations": "變化影片",
    "Make the film": "製作影片",
    "Variations of the photo, one after another": "照片的各種變化，一個接一個",
    "Mix two photos": "兩張照片的混合",
    "Mix": "混合",
    "A mix of both photos": "兩張照片的混合",
    "How much of the second photo": "第二張照片的比例",
    "Shown as": "呈現為",
    "From noise": "憑空生成",
    "About this model": "關於這個模型",
    "It brings what is turned into what, the noise, the style you chose, and an example photo, never yours.": (
        "連結會記住轉換的種類、雜訊的設定、您選的風格，以及範例照片；不會包含您自己的照片。"
    ),
    "- **Turns** {a} into {b} and {b} into {a}, and reconstructs each.": (
        "- **能做的**：把{a}變成{b}，把{b}變成{a}，以及各自的還原。"
    ),
    "| | | translated | the photo as it is | real photos |": "| | | 結果 | 原來的照片 | 真實照片 |",
    "Position": "位置",
    # what can be put right
    " or ": "或",
    "Please add a photo first.": "請先加入一張照片。",
    "Please add a second photo.": "請加入第二張照片。",
    "This is not an uploaded picture: upload the file first.": "這個檔案不是上傳的：請先上傳圖片。",
    "This photo is no longer here: please add it again.": "這張照片已經不在伺服器上了：請再加入一次。",
    "There is not enough memory for this picture: please try a smaller one.": "記憶體不夠處理這張圖片：請換小一點的。",
    "The server has no room for the result: please try again in some minutes.": "伺服器沒有空間存放結果：請稍後再試。",
    "There is no model {name} here: choose {names}.": "這裡沒有模型 {name}：請選擇 {names}。",
    "The direction is {direction}: choose {directions}.": "沒有 {direction} 這個方向：請選擇 {directions}。",
    "The direction {direction} belongs to the model {name}: choose that model too.": (
        "方向 {direction} 屬於模型 {name}：請也選擇那個模型。"
    ),
    "{domain} is not a domain of this model: choose {domains}.": "這個模型沒有 {domain} 這一類：請選擇 {domains}。",
    "{name} must be a number from {low} to {high}, and it is {value}.": (
        "{name}必須是 {low} 到 {high} 的數字，現在是 {value}。"
    ),
    "Number of samples": "變化的張數",
    "Number of pairs": "組數",
    "{name} is a folder, not a picture.": "{name} 是資料夾，不是圖片。",
    "{name} is empty.": "{name} 是空的。",
    "{name} is no picture: give a path, a PIL image, an array or a file.": (
        "{name} 不是圖片：請提供路徑、PIL 圖片、陣列或檔案。"
    ),
    "An array of {dtype} with shape {shape} is no picture: give uint8 with shape (H, W), (H, W, 3) or (H, W, 4).": (
        "形狀 {shape} 的 {dtype} 陣列不是圖片：請提供形狀 (H, W)、(H, W, 3) 或 (H, W, 4) 的 uint8。"
    ),
    "{name} is not a picture this program can read: try a JPEG or PNG file.": (
        "{name} 不是這個程式讀得懂的圖片：請改用 JPEG 或 PNG 檔。"
    ),
    "There is no file {name}.": "找不到檔案 {name}。",
    "{name} may not be read: check its permissions.": "沒有讀取 {name} 的權限：請檢查檔案的權限。",
    "{name} has no pixels.": "{name} 裡沒有任何像素。",
    "{name} is damaged or cut short: try another copy of it.": "{name} 已損壞或不完整：請換一份檔案。",
    "{name} is too large: at most {millions} million pixels are taken, so make it smaller.": (
        "{name} 太大了：請先縮小到 {millions} 百萬像素以內。"
    ),
    "{name} has the colour mode {mode}, which cannot be read as RGB.": (
        "{name} 的色彩模式是 {mode}，無法轉成 RGB。"
    ),
}  # fmt: skip
